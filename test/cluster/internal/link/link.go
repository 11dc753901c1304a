// Package link makes network namespaces, interfaces and routes: the link between the host and a cluster, and between the cluster
// and its pods. It knows nothing of Kubernetes.
//
// There is no bridge. Each pod is at the end of a veth pair whose other end has a route to the pod's address, so every packet
// between pods is routed, and what translates addresses (package proxy) sees both directions of it.
package link

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nantian-gw/nantian/test/cluster/internal/plan"
)

// ConnectHost makes the veth pair between the host, in whose namespace it is called, and the cluster whose process is given.
func ConnectHost(n plan.Network, pid int) error {
	name := n.HostLink()
	if err := DisconnectHost(n); err != nil {
		return err
	}
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: plan.NodeLink, PeerNamespace: netlink.NsPid(pid)}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	if err := up(name, netip.PrefixFrom(n.Host(), 30)); err != nil {
		return err
	}
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	route := &netlink.Route{LinkIndex: l.Attrs().Index, Dst: ipNet(n.All()), Gw: n.API().AsSlice()}
	if err := netlink.RouteAdd(route); err != nil {
		return fmt.Errorf("route to %s by %s: %w", n.All(), n.API(), err)
	}
	return nil
}

// DisconnectHost removes the host's end of the link, and with it the other end and the route. It is no error if there is none.
func DisconnectHost(n plan.Network) error {
	l, err := netlink.LinkByName(n.HostLink())
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(l)
	}
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove interface %s: %w", n.HostLink(), err)
	}
	return nil
}

// Free reports whether no route of the host overlaps the network, other than the default route and what a cluster left behind.
func Free(n plan.Network) (bool, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return false, fmt.Errorf("routes of the host: %w", err)
	}
	for _, r := range routes {
		if r.Dst == nil || r.Dst.IP.IsUnspecified() {
			continue
		}
		if l, err := netlink.LinkByIndex(r.LinkIndex); err == nil && l.Attrs().Name == n.HostLink() {
			continue
		}
		if all := ipNet(n.All()); all.Contains(r.Dst.IP) || r.Dst.Contains(all.IP) {
			return false, nil
		}
	}
	return true, nil
}

// SetUpNode prepares the cluster's own namespace, in which it is called: forwarding, the node's addresses, and local routes for
// the addresses of Services, so that what no rule translates is answered (refused) by the node itself.
func SetUpNode(n plan.Network) error {
	for _, s := range []struct{ name, value string }{
		{"net/ipv4/ip_forward", "1"},
		{"net/ipv4/conf/all/rp_filter", "0"},
		{"net/ipv4/conf/default/rp_filter", "0"},
	} {
		if err := Sysctl(s.name, s.value); err != nil {
			return err
		}
	}
	if err := up("lo", netip.PrefixFrom(n.Node(), 32)); err != nil {
		return err
	}
	if err := up(plan.NodeLink, netip.PrefixFrom(n.API(), 30)); err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("interface lo: %w", err)
	}
	for _, p := range []netip.Prefix{n.Services(), n.Balancers()} {
		route := &netlink.Route{LinkIndex: lo.Attrs().Index, Dst: ipNet(p), Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST}
		if err := netlink.RouteAdd(route); err != nil {
			return fmt.Errorf("local route to %s: %w", p, err)
		}
	}
	return nil
}

// up gives an interface an address and sets it up.
func up(name string, addr netip.Prefix) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	a := &netlink.Addr{IPNet: &net.IPNet{IP: addr.Addr().AsSlice(), Mask: net.CIDRMask(addr.Bits(), 32)}}
	if err := netlink.AddrAdd(l, a); err != nil {
		return fmt.Errorf("address %s of interface %s: %w", addr, name, err)
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Masked().Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}

// Sysctl sets a kernel parameter of the calling thread's namespaces; both forms of names are taken, with dots or with slashes.
func Sysctl(name, value string) error {
	if !strings.Contains(name, "/") {
		name = strings.ReplaceAll(name, ".", "/")
	}
	if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0o644); err != nil {
		return fmt.Errorf("sysctl %s=%s: %w", name, value, err)
	}
	return nil
}
