package proxy

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// reserved is how many addresses at the begin of the pool only those get who ask for them.
const reserved = 10

// balance gives addresses to Services of type LoadBalancer, and takes them from those that no longer are. It reports whether a
// status could not be written and is to be tried again.
func (p *Proxy) balance(ctx context.Context, services []*corev1.Service) (again bool) {
	taken := map[netip.Addr]string{}
	var want []*corev1.Service
	for _, svc := range services {
		addr, has := held(svc)
		switch {
		case !ours(svc):
			if has && p.pool.Contains(addr) && svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
				again = p.write(ctx, svc, nil) || again
			}
		case has && p.fits(svc, addr) && taken[addr] == "":
			taken[addr] = svc.Namespace + "/" + svc.Name
		default:
			want = append(want, svc)
		}
	}
	for _, svc := range want {
		addr, err := p.choose(svc, taken)
		if err != nil {
			p.complain(svc, err)
			continue
		}
		taken[addr] = svc.Namespace + "/" + svc.Name
		again = p.write(ctx, svc, &addr) || again
	}
	return again
}

// ours reports whether the Service is one that the cluster's provider of load balancers is to serve.
func ours(svc *corev1.Service) bool {
	return svc.Spec.Type == corev1.ServiceTypeLoadBalancer && svc.Spec.LoadBalancerClass == nil && svc.DeletionTimestamp == nil
}

// held is the address that the Service's status has.
func held(svc *corev1.Service) (netip.Addr, bool) {
	if len(svc.Status.LoadBalancer.Ingress) == 0 {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(svc.Status.LoadBalancer.Ingress[0].IP)
	return addr, err == nil
}

// fits reports whether an address is one that the Service may keep.
func (p *Proxy) fits(svc *corev1.Service, addr netip.Addr) bool {
	return p.pool.Contains(addr) && (svc.Spec.LoadBalancerIP == "" || svc.Spec.LoadBalancerIP == addr.String())
}

func (p *Proxy) choose(svc *corev1.Service, taken map[netip.Addr]string) (netip.Addr, error) {
	if s := svc.Spec.LoadBalancerIP; s != "" {
		addr, err := netip.ParseAddr(s)
		if err != nil || !p.pool.Contains(addr) {
			return addr, fmt.Errorf("loadBalancerIP %q: expected an address of %s", s, p.pool)
		}
		if by := taken[addr]; by != "" {
			return addr, fmt.Errorf("loadBalancerIP %s is in use by Service %s", addr, by)
		}
		return addr, nil
	}
	addr := p.pool.Addr()
	for i := 0; p.pool.Contains(addr.Next()); i++ { // the last is the network's broadcast address
		if i >= reserved && taken[addr] == "" {
			return addr, nil
		}
		addr = addr.Next()
	}
	return addr, fmt.Errorf("all addresses of %s are in use", p.pool)
}

// write sets the address of the status, or removes it. It reports whether that has to be tried again.
func (p *Proxy) write(ctx context.Context, svc *corev1.Service, addr *netip.Addr) bool {
	svc = svc.DeepCopy()
	svc.Status.LoadBalancer = corev1.LoadBalancerStatus{}
	if addr != nil {
		mode := corev1.LoadBalancerIPModeVIP
		svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: addr.String(), IPMode: &mode}}
	}
	_, err := p.client.CoreV1().Services(svc.Namespace).UpdateStatus(ctx, svc, metav1.UpdateOptions{})
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) { // a newer version is on its way to us
		p.log.Error("load balancer", "service", svc.Namespace+"/"+svc.Name, "error", err)
		return true
	}
	return false
}

// complain reports once why a Service gets no address.
func (p *Proxy) complain(svc *corev1.Service, err error) {
	if p.complaints[svc.UID] != err.Error() {
		p.complaints[svc.UID] = err.Error()
		p.events.Event(svc, corev1.EventTypeWarning, "SyncLoadBalancerFailed", err.Error())
	}
}
