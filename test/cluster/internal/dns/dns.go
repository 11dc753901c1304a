// Package dns answers for the names of Services as the DNS server of a cluster does, and for names given to it. It knows no other
// server: other names do not exist.
package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// ttl is short, as names change at once in tests.
	ttl = 1
	// idle is how long a connection may say nothing, and maxConns how many there may be.
	idle     = 10 * time.Second
	maxConns = 64
	maxUDP   = 1232 // bytes that fit into one packet on every network, by the DNS flag day of 2020
)

// Server answers from names.
type Server struct {
	names *Names
	udp   net.PacketConn
	tcp   net.Listener
	slots chan struct{}
}

// Listen opens port 53 of the address.
func Listen(addr netip.Addr, names *Names) (*Server, error) {
	at := netip.AddrPortFrom(addr, 53).String()
	udp, err := net.ListenPacket("udp4", at)
	if err != nil {
		return nil, fmt.Errorf("DNS server: %w", err)
	}
	tcp, err := net.Listen("tcp4", at)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("DNS server: %w", err), udp.Close())
	}
	return &Server{names: names, udp: udp, tcp: tcp, slots: make(chan struct{}, maxConns)}, nil
}

// Serve answers until the context ends.
func (s *Server) Serve(ctx context.Context) {
	defer context.AfterFunc(ctx, func() { _ = s.udp.Close(); _ = s.tcp.Close() })()
	go s.serveTCP()
	buf := make([]byte, 64<<10)
	for {
		n, from, err := s.udp.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		if out := s.names.Answer(buf[:n], maxUDP); out != nil {
			_, _ = s.udp.WriteTo(out, from)
		}
	}
}

func (s *Server) serveTCP() {
	for {
		c, err := s.tcp.Accept()
		if err != nil {
			return
		}
		s.slots <- struct{}{}
		go func() {
			defer func() { _ = c.Close(); <-s.slots }()
			s.serveConn(c)
		}()
	}
}

// serveConn answers questions that each have their length before them (RFC 1035, 4.2.2).
func (s *Server) serveConn(c net.Conn) {
	for {
		_ = c.SetDeadline(time.Now().Add(idle))
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, question); err != nil {
			return
		}
		out := s.names.Answer(question, 64<<10-1)
		if out == nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)); err != nil {
			return
		}
	}
}

// Answer is the answer to a question, or nil if it is none. One that does not fit is cut off, and says so.
func (n *Names) Answer(question []byte, limit int) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(question)
	if err != nil || h.Response {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	found, exists := n.find(strings.ToLower(strings.TrimSuffix(q.Name.String(), ".")))
	head := dnsmessage.Header{ID: h.ID, Response: true, Authoritative: true, RecursionDesired: h.RecursionDesired, RecursionAvailable: true}
	switch {
	case h.OpCode != 0:
		head.RCode = dnsmessage.RCodeNotImplemented
	case !exists:
		head.RCode = dnsmessage.RCodeNameError
	}
	out, err := pack(head, q, found)
	if err != nil {
		head.RCode = dnsmessage.RCodeServerFailure
		out, _ = pack(head, q, nil)
	}
	if len(out) > limit {
		head.Truncated = true
		out, _ = pack(head, q, nil)
	}
	return out
}

// pack writes a message with those records that the question asks for.
func pack(h dnsmessage.Header, q dnsmessage.Question, found []record) ([]byte, error) {
	b := dnsmessage.NewBuilder(nil, h)
	b.EnableCompression()
	if err := errors.Join(b.StartQuestions(), b.Question(q), b.StartAnswers()); err != nil {
		return nil, err
	}
	for _, r := range found {
		if err := r.add(&b, q); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}

// record is an address, a service (SRV) or another name (CNAME).
type record struct {
	addr  netip.Addr
	name  string // of CNAME and SRV
	port  uint16 // of SRV
	alias bool
}

func (r record) add(b *dnsmessage.Builder, q dnsmessage.Question) error {
	head := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: ttl}
	if r.addr.IsValid() {
		if q.Type != dnsmessage.TypeA && q.Type != dnsmessage.TypeALL {
			return nil
		}
		return b.AResource(head, dnsmessage.AResource{A: r.addr.As4()})
	}
	name, err := dnsmessage.NewName(r.name + ".")
	if err != nil {
		return err
	}
	if r.alias {
		return b.CNAMEResource(head, dnsmessage.CNAMEResource{CNAME: name})
	}
	if q.Type != dnsmessage.TypeSRV && q.Type != dnsmessage.TypeALL {
		return nil
	}
	return b.SRVResource(head, dnsmessage.SRVResource{Weight: 100, Port: r.port, Target: name})
}
