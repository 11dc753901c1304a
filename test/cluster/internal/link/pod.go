package link

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Pod is the network namespace of one pod. It lives as long as the file is open or a process is in it.
type Pod struct {
	ns   *os.File
	addr netip.Addr
	veth string
}

// NewPod makes a namespace with the address on eth0, a default route by the node, and the sysctls given, connected to the
// namespace that it is called in.
func NewPod(veth string, addr, node netip.Addr, sysctls map[string]string) (*Pod, error) {
	ns, err := newNamespace()
	if err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	p := &Pod{ns: ns, addr: addr, veth: veth}
	if err := p.connect(node, sysctls); err != nil {
		p.Close()
		return nil, fmt.Errorf("network of pod %s: %w", addr, err)
	}
	return p, nil
}

// File is the namespace, for processes that join it.
func (p *Pod) File() *os.File { return p.ns }

// Addr is the pod's address.
func (p *Pod) Addr() netip.Addr { return p.addr }

// Close removes the pod's interface. The namespace goes with its last process.
func (p *Pod) Close() {
	if l, err := netlink.LinkByName(p.veth); err == nil {
		_ = netlink.LinkDel(l)
	}
	_ = p.ns.Close()
}

func (p *Pod) connect(node netip.Addr, sysctls map[string]string) error {
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: p.veth}, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(p.ns.Fd()))}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("interface %s: %w", p.veth, err)
	}
	if err := p.inside(func() error { return setUpPod(p.addr, node, sysctls) }); err != nil {
		return err
	}
	l, err := netlink.LinkByName(p.veth)
	if err != nil {
		return fmt.Errorf("interface %s: %w", p.veth, err)
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return fmt.Errorf("interface %s: %w", p.veth, err)
	}
	route := &netlink.Route{LinkIndex: l.Attrs().Index, Dst: ipNet(netip.PrefixFrom(p.addr, 32)), Scope: netlink.SCOPE_LINK, Src: node.AsSlice()}
	if err := netlink.RouteAdd(route); err != nil {
		return fmt.Errorf("route to %s: %w", p.addr, err)
	}
	return nil
}

// setUpPod runs in the pod's namespace.
func setUpPod(addr, node netip.Addr, sysctls map[string]string) error {
	for name, value := range sysctls {
		if err := Sysctl(name, value); err != nil {
			return err
		}
	}
	if err := loopback(); err != nil {
		return err
	}
	if err := up("eth0", netip.PrefixFrom(addr, 32)); err != nil {
		return err
	}
	l, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	link := &netlink.Route{LinkIndex: l.Attrs().Index, Dst: ipNet(netip.PrefixFrom(node, 32)), Scope: netlink.SCOPE_LINK}
	if err := netlink.RouteAdd(link); err != nil {
		return fmt.Errorf("route to the node: %w", err)
	}
	any := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: any, Gw: node.AsSlice()}); err != nil {
		return fmt.Errorf("default route: %w", err)
	}
	return nil
}

func loopback() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// inside calls f on a thread that is in the pod's namespace. The thread is thrown away.
func (p *Pod) inside(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(p.ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter namespace: %w", err)
		}
		return f()
	})
}

func newNamespace() (*os.File, error) {
	var ns *os.File
	err := onThread(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		ns, err = os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
		return err
	})
	return ns, err
}

// onThread runs f on a thread of its own. A goroutine that ends while it is locked to its thread ends the thread with it, and so
// no other goroutine ever finds itself in another namespace.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- f()
	}()
	return <-done
}
