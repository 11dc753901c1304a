package translate

import (
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// intersect finds the hostnames that a route has on a listener. ok is false when there are none; an empty list is every
// host of the listener.
func intersect(listener string, route []gatewayv1.Hostname) (hosts []string, ok bool) {
	if len(route) == 0 {
		return nil, true
	}
	for _, h := range route {
		host, meets := meet(listener, strings.ToLower(string(h)))
		if meets && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts, len(hosts) > 0
}

// meet is the narrower of a listener's and a route's hostname, when they have hosts in common.
func meet(listener, route string) (string, bool) {
	switch {
	case listener == "" || covers(listener, route):
		return route, true
	case covers(route, listener):
		return listener, true
	}
	return "", false
}

// covers says whether every host that narrow stands for is also one of wide. "*." stands for one label or more.
func covers(wide, narrow string) bool {
	if wide == narrow {
		return true
	}
	suffix, wild := strings.CutPrefix(wide, "*")
	return wild && strings.HasSuffix(narrow, suffix) && len(narrow) > len(suffix)
}
