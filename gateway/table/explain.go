package table

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// Considered is one match of a rule at the listener of a request.
type Considered struct {
	// Route is "<kind> <ns>/<name>", Rule its rule's name or index, Match what it asks for.
	Route string `json:"route"`
	Rule  string `json:"rule"`
	Match string `json:"match"`
	// Lost says why it does not serve the request; empty: it does.
	Lost string `json:"lost,omitempty"`
}

// Explanation is the way of a request to its rule. Rule is what Match finds; nil: none.
type Explanation struct {
	Listener   *Listener
	Rule       *Rule
	Considered []Considered
	// Policies are those of the listener, the route and the rule, the widest first; RouteKey is the route's resource.
	Policies []*xdsv1.Policy
	RouteKey string
}

// Explain matches a request as Match does and says why the other rules of its listener lost.
func (t *Table) Explain(p *Port, x *exchange.Exchange, rs map[string]*xdsv1.Resource) Explanation {
	e := Explanation{Rule: p.Match(x), Listener: p.listenerFor(string(x.Req.Host()))}
	if e.Listener == nil {
		return e
	}
	var buf [maxHost + 1]byte
	host, _ := appendHost(buf[:0], x.Req.Host())
	for _, key := range sortedRoutes(t.routes) {
		r := t.routes[key]
		for i := range r.parents {
			if parent := &r.parents[i]; parent.listener.GetKey() == e.Listener.Key {
				e.consider(key, parent, host, x)
			}
		}
	}
	if e.RouteKey != "" {
		own := e.Rule.RouteInfo.Rule
		e.Policies = newPolicies(rs).rule(e.Listener.Key, e.RouteKey, own)
	}
	return e
}

func sortedRoutes(routes map[string]*route) []string {
	keys := make([]string, 0, len(routes))
	for key := range routes {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func (e *Explanation) consider(key string, p *parent, host []byte, x *exchange.Exchange) {
	covers := slices.ContainsFunc(p.hostnames, func(h string) bool { return hostCovers(h, host) })
	for _, m := range p.matches {
		c := Considered{Route: m.rule.Kind + " " + m.rule.Route, Rule: m.rule.RouteInfo.Rule, Match: m.describe()}
		switch lost := m.fails(x); {
		case !covers:
			c.Lost = "the host is not one of " + strings.Join(p.hostnames, ", ")
		case lost != "":
			c.Lost = lost
		case m.rule != e.Rule:
			c.Lost = "it matches, but another match is more specific or older"
		default:
			e.RouteKey = key
		}
		e.Considered = append(e.Considered, c)
	}
}

// hostCovers says whether a route's hostname is for a host.
func hostCovers(hostname string, host []byte) bool {
	suffix, wild := strings.CutPrefix(hostname, "*")
	return hostname == "" || hostname == string(host) || wild && len(host) > len(suffix) && bytes.HasSuffix(host, []byte(suffix))
}

// fails says which condition of a match does not hold; empty: all do.
func (m *match) fails(x *exchange.Exchange) string {
	path := string(x.Path)
	switch m.place.kind {
	case exactPath:
		if path != m.place.path {
			return "the path is not " + m.place.path
		}
	case prefixPath:
		if rest, ok := strings.CutPrefix(path, m.place.path); !ok || rest != "" && rest[0] != '/' {
			return "the path does not begin with " + m.place.path
		}
	case patternPath:
		if !m.pattern.MatchString(path) {
			return "the path does not match the expression"
		}
	}
	switch {
	case m.accepts(x):
		return ""
	case m.method != "" && string(x.Req.Method()) != m.method:
		return "the method is not " + m.method
	}
	for i := range m.headers {
		if !m.headers[i].header(x) {
			return "a header does not match"
		}
	}
	for i := range m.query {
		if !m.query[i].queryParam(x) {
			return "a query parameter does not match"
		}
	}
	return "the method of gRPC does not match"
}

func (m *match) describe() string {
	kind := map[pathKind]string{exactPath: "Exact ", prefixPath: "PathPrefix ", patternPath: "RegularExpression "}[m.place.kind]
	path := m.place.path
	if path == "" {
		path = "/"
	}
	out := kind + path
	if m.method != "" {
		out += ", method " + m.method
	}
	if n := len(m.headers); n > 0 {
		out += fmt.Sprintf(", %d headers", n)
	}
	if n := len(m.query); n > 0 {
		out += fmt.Sprintf(", %d query parameters", n)
	}
	return out
}
