package translate

import (
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// intersect finds the hostnames of a route that have hosts in common with a listener's. ok is false when there are none; an
// empty list is every host of the listener. They stay as the route has them: which of two routes goes first is decided by
// their own hostnames, not by what of these the listener leaves (Gateway API, HTTPRouteSpec.hostnames).
func intersect(listener string, route []gatewayv1.Hostname) (hosts []string, ok bool) {
	if len(route) == 0 {
		return nil, true
	}
	for _, h := range route {
		host := strings.ToLower(string(h))
		meets := listener == "" || covers(listener, host) || covers(host, listener)
		if meets && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts, len(hosts) > 0
}

// covers says whether every host that narrow stands for is also one of wide. "*." stands for one label or more.
func covers(wide, narrow string) bool {
	if wide == narrow {
		return true
	}
	suffix, wild := strings.CutPrefix(wide, "*")
	return wild && strings.HasSuffix(narrow, suffix) && len(narrow) > len(suffix)
}
