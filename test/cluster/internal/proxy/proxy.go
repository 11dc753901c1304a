// Package proxy makes the addresses of Services lead to their pods, as kube-proxy does, and gives addresses to those of type
// LoadBalancer. It translates addresses in the kernel (nftables), for TCP and UDP; the source's address stays as it is.
// Session affinity, source ranges and traffic policies are left out: there is one node.
package proxy

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nantian-gw/nantian/test/cluster/internal/plan"
)

const (
	// gather is how long a change waits for others.
	gather = 10 * time.Millisecond
	// retryAfter is how soon a write is tried again that failed.
	retryAfter = time.Second
)

// Proxy keeps the kernel's rules and the status of Services up to date.
type Proxy struct {
	client     kubernetes.Interface
	events     record.EventRecorder
	log        *slog.Logger
	pool       netip.Prefix
	node       netip.Addr
	rules      *rules
	services   corelisters.ServiceLister
	slices     discoverylisters.EndpointSliceLister
	synced     []cache.InformerSynced
	changed    chan struct{}
	complaints map[types.UID]string
	now        map[frontend][]netip.AddrPort
}

// Prepare makes the kernel translate addresses from the begin. If it began while there are connections, both ends of one that has
// both here could be taken for connections of their own, and given other ports: seen as a connection that stalls for 15 s.
func Prepare(n plan.Network) error {
	r, err := newRules(n.Services(), n.Balancers())
	if err != nil {
		return err
	}
	return r.set(nil)
}

// New makes a proxy that is told of changes by the factory's informers, which the caller starts.
func New(client kubernetes.Interface, events record.EventRecorder, n plan.Network, factory informers.SharedInformerFactory, log *slog.Logger) (*Proxy, error) {
	r, err := newRules(n.Services(), n.Balancers())
	if err != nil {
		return nil, err
	}
	services, endpoints := factory.Core().V1().Services(), factory.Discovery().V1().EndpointSlices()
	p := &Proxy{
		client: client, events: events, log: log, pool: n.Balancers(), node: n.Node(), rules: r,
		services: services.Lister(), slices: endpoints.Lister(),
		synced:  []cache.InformerSynced{services.Informer().HasSynced, endpoints.Informer().HasSynced},
		changed: make(chan struct{}, 1), complaints: map[types.UID]string{},
	}
	h := cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { p.wake() }, UpdateFunc: func(any, any) { p.wake() }, DeleteFunc: func(any) { p.wake() },
	}
	_, e1 := services.Informer().AddEventHandler(h)
	_, e2 := endpoints.Informer().AddEventHandler(h)
	return p, errors.Join(e1, e2)
}

func (p *Proxy) wake() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// Run follows changes until the context ends.
func (p *Proxy) Run(ctx context.Context) {
	cache.WaitForCacheSync(ctx.Done(), p.synced...)
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.changed:
		case <-again:
		}
		<-time.After(gather)
		again = nil
		if p.sync(ctx) {
			again = time.After(retryAfter)
		}
	}
}

// sync reports whether something failed that is to be tried again.
func (p *Proxy) sync(ctx context.Context) (again bool) {
	services, err := p.services.List(labels.Everything())
	endpoints, err2 := p.slices.List(labels.Everything())
	if err := errors.Join(err, err2); err != nil {
		p.log.Error("list Services", "error", err)
		return true
	}
	slices.SortFunc(services, func(a, b *corev1.Service) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	again = p.balance(ctx, services)
	next := table(services, endpoints, p.node)
	if maps.EqualFunc(p.now, next, slices.Equal) {
		return again
	}
	if err := p.rules.set(next); err != nil {
		p.log.Error("rules of Services", "error", err)
		return true
	}
	p.now = next
	if err := forget(next); err != nil {
		p.log.Error("flows of UDP", "error", err)
	}
	return again
}

// forget removes the kernel's memory of UDP flows that lead to an endpoint that is no more. It would last as long as packets come.
func forget(now map[frontend][]netip.AddrPort) error {
	_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, stale{now})
	return err
}

// stale matches flows of UDP from one of the frontends to what is not an endpoint of it.
type stale struct {
	now map[frontend][]netip.AddrPort
}

// MatchConntrackFlow is for netlink.
func (s stale) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	if f.Forward.Protocol != unix.IPPROTO_UDP {
		return false
	}
	endpoints, ok := s.now[frontend{unix.IPPROTO_UDP, addrPort(f.Forward.DstIP, f.Forward.DstPort)}]
	return ok && !slices.Contains(endpoints, addrPort(f.Reverse.SrcIP, f.Reverse.SrcPort))
}

func addrPort(ip []byte, port uint16) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(addr.Unmap(), port)
}
