package proxy

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// rules are the address translations of the kernel, in the namespace of this process. Each change replaces all of them in one
// transaction; connections that are established keep the endpoint that they have.
type rules struct {
	conn *nftables.Conn
	// own are the addresses of Services. What the node itself sends to one has it as its source, too, and is given another.
	own []netip.Prefix
}

func newRules(own ...netip.Prefix) (*rules, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("nftables: %w (the kernel needs NF_TABLES, NFT_NAT, NFT_MASQ and NFT_NUMGEN)", err)
	}
	return &rules{conn: conn, own: own}, nil
}

// set makes the kernel translate the frontends' addresses to those of their endpoints.
func (r *rules) set(frontends map[frontend][]netip.AddrPort) error {
	t := r.conn.AddTable(&nftables.Table{Name: "services", Family: nftables.TableFamilyIPv4})
	r.conn.FlushTable(t)
	services := r.conn.AddChain(&nftables.Chain{Name: "services", Table: t})
	r.hook(t, "prerouting", nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest, services)
	r.hook(t, "output", nftables.ChainHookOutput, nftables.ChainPriorityNATDest, services)
	post := r.hook(t, "postrouting", nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource, nil)
	pods := map[netip.Addr]bool{}
	for f, endpoints := range frontends {
		for i, e := range endpoints {
			r.conn.AddRule(&nftables.Rule{Table: t, Chain: services, Exprs: translate(f, e, len(endpoints)-i)})
			pods[e.Addr()] = true
		}
	}
	for pod := range pods { // a pod that reaches itself by a Service would answer itself directly
		both := append(matchAddr(sourceOffset, netip.PrefixFrom(pod, 32)), matchAddr(destinationOffset, netip.PrefixFrom(pod, 32))...)
		r.conn.AddRule(&nftables.Rule{Table: t, Chain: post, Exprs: append(both, &expr.Masq{})})
	}
	for _, p := range r.own {
		r.conn.AddRule(&nftables.Rule{Table: t, Chain: post, Exprs: append(matchAddr(sourceOffset, p), &expr.Masq{})})
	}
	if err := r.conn.Flush(); err != nil {
		return fmt.Errorf("nftables: %w (the kernel needs NF_TABLES, NFT_NAT, NFT_MASQ and NFT_NUMGEN)", err)
	}
	return nil
}

// hook makes a chain that packets pass, which goes on in another one.
func (r *rules) hook(t *nftables.Table, name string, h *nftables.ChainHook, prio *nftables.ChainPriority, to *nftables.Chain) *nftables.Chain {
	c := r.conn.AddChain(&nftables.Chain{Name: name, Table: t, Type: nftables.ChainTypeNAT, Hooknum: h, Priority: prio})
	if to != nil {
		r.conn.AddRule(&nftables.Rule{Table: t, Chain: c, Exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: to.Name}}})
	}
	return c
}

// Offsets in the headers of IPv4, TCP and UDP.
const (
	sourceOffset      = 12
	destinationOffset = 16
	portOffset        = 2
)

// translate sends one in so many new connections to the endpoint: all that reach the rule, if it is the last one of the frontend.
func translate(f frontend, e netip.AddrPort, oneIn int) []expr.Any {
	out := append([]expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{f.protocol}},
	}, matchAddr(destinationOffset, netip.PrefixFrom(f.addr.Addr(), 32))...)
	out = append(out,
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: portOffset, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(f.addr.Port())},
	)
	if oneIn > 1 {
		out = append(out,
			&expr.Numgen{Register: 1, Modulus: uint32(oneIn), Type: unix.NFT_NG_RANDOM},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(0)},
		)
	}
	addr := e.Addr().As4()
	return append(out,
		&expr.Immediate{Register: 1, Data: addr[:]},
		&expr.Immediate{Register: 2, Data: binaryutil.BigEndian.PutUint16(e.Port())},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, RegProtoMin: 2},
	)
}

// matchAddr is true for packets whose address at the offset is in the network.
func matchAddr(offset uint32, p netip.Prefix) []expr.Any {
	addr := p.Masked().Addr().As4()
	mask := make([]byte, 4)
	binary.BigEndian.PutUint32(mask, ^uint32(0)<<(32-p.Bits()))
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: addr[:]},
	}
}
