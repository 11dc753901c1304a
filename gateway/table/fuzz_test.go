package table

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// FuzzMatch compares the index with a walk over all routes that follows the words of the specification.
func FuzzMatch(f *testing.F) {
	for seed := range uint64(50) {
		f.Add(seed, "a.example.com", "/a/b", "q=1", "GET", "1")
	}
	f.Add(uint64(1), "A.b.EXAMPLE.com.:80", "/a//b/", "x&q=%31&q=2", "POST", "1,2")
	f.Add(uint64(2), "[::1]:80", "*", "", "OPTIONS", "")
	f.Add(uint64(3), "", "/", "q", "", "x")
	f.Fuzz(func(t *testing.T, seed uint64, host, path, query, method, header string) {
		if strings.ContainsAny(header+method, "\r\n\x00") || method == "" {
			return
		}
		g := &generator{rand.New(rand.NewPCG(seed, 0))}
		rs := g.resources()
		tb, err := Compile(rs, nil, &builder{})
		if err != nil {
			t.Fatal(err)
		}
		compareMatch(t, rs, tb.Ports()[0], newRequest(t, host, path, query, method, header))
		for range 20 {
			compareMatch(t, rs, tb.Ports()[0], newRequest(t, g.pick("a.example.com", "b.a.example.com", "example.com", "a.org:80", "x"),
				g.path(), g.pick("", "q=1", "q=2&q=1", "r=1&q=1"), g.pick("GET", "POST"), g.pick("1", "2", "")))
		}
	})
}

func newRequest(t *testing.T, host, path, query, method, header string) *exchange.Exchange {
	x := exchange.Acquire(t.Context(), nil)
	x.Req.SetMethod(method)
	x.Req.SetHost(host)
	x.Path, x.Query = append(x.Path, path...), append(x.Query, query...)
	if header != "" {
		x.Req.Set("X-H", header)
	}
	return x
}

func compareMatch(t *testing.T, rs map[string]*xdsv1.Resource, p *Port, x *exchange.Exchange) {
	t.Helper()
	defer exchange.Release(x)
	var got string
	if r := p.Match(x); r != nil {
		got = fmt.Sprintf("%s %s %s", r.Listener, r.Route, r.Rule)
	}
	if want := naive(rs, x); got != want {
		t.Errorf("%s %q %q ? %q: %q, want %q", x.Req.Method(), x.Req.Host(), x.Path, x.Query, got, want)
	}
}

// generator makes configurations of a small vocabulary, so that much of them overlaps.
type generator struct{ *rand.Rand }

func (g *generator) pick(of ...string) string { return of[g.IntN(len(of))] }

func (g *generator) path() string {
	var b strings.Builder
	for range g.IntN(4) {
		b.WriteString("/" + g.pick("a", "b", "", "ab"))
	}
	return b.String() + "/"
}

func (g *generator) resources() map[string]*xdsv1.Resource {
	rs := map[string]*xdsv1.Resource{"backend/a/s/80": {Kind: &xdsv1.Resource_Backend{Backend: &xdsv1.Backend{
		Key: "backend/a/s/80", Kind: &xdsv1.Backend_Endpoints{}}}}}
	var listeners []string
	for i, hostname := range []string{"", "*.example.com", "a.example.com", "*.com"} {
		if i > 0 && g.IntN(2) == 0 {
			continue
		}
		key := xdsv1.ListenerKey("infra", "web", fmt.Sprintf("l%d", i))
		rs[key] = &xdsv1.Resource{Kind: &xdsv1.Resource_Listener{Listener: &xdsv1.Listener{
			Key: key, Name: fmt.Sprintf("l%d", i), Port: 80, Protocol: xdsv1.Protocol_HTTP, Hostname: hostname}}}
		listeners = append(listeners, key)
	}
	for i := range 1 + g.IntN(12) {
		r := g.route(fmt.Sprintf("r%d", i), listeners)
		rs[r.Key] = &xdsv1.Resource{Kind: &xdsv1.Resource_Route{Route: r}}
	}
	return rs
}

func (g *generator) route(name string, listeners []string) *xdsv1.Route {
	r := &xdsv1.Route{
		Key: xdsv1.RouteKey("http", "a", name), Namespace: "a", Name: name,
		Created: &timestamppb.Timestamp{Seconds: int64(g.IntN(3))},
	}
	for _, l := range listeners {
		if g.IntN(3) == 0 {
			continue
		}
		p := &xdsv1.Parent{Listener: l}
		for _, h := range []string{"a.example.com", "*.example.com", "*.com", "b.a.example.com"} {
			if g.IntN(4) == 0 {
				p.Hostnames = append(p.Hostnames, h)
			}
		}
		r.Parents = append(r.Parents, p)
	}
	rules := &xdsv1.HTTPRules{}
	for range 1 + g.IntN(3) {
		rule := &xdsv1.HTTPRule{}
		for range g.IntN(4) {
			rule.Matches = append(rule.Matches, g.match())
		}
		rules.Rules = append(rules.Rules, rule)
	}
	r.Rules = &xdsv1.Route_Http{Http: rules}
	return r
}

func (g *generator) match() *xdsv1.HTTPMatch {
	m := &xdsv1.HTTPMatch{}
	switch g.IntN(8) {
	case 0:
		m.Path = &xdsv1.PathMatch{Kind: xdsv1.PathMatch_REGEX, Value: g.pick("/.*", "/[a-b]+", "/a|/b", ".*/a/?")}
	case 1, 2, 3:
		m.Path = &xdsv1.PathMatch{Kind: xdsv1.PathMatch_EXACT, Value: g.path()}
	case 4, 5, 6:
		m.Path = &xdsv1.PathMatch{Kind: xdsv1.PathMatch_PREFIX, Value: g.path()}
	}
	if g.IntN(3) == 0 {
		m.Method = g.pick("GET", "POST")
	}
	if g.IntN(3) == 0 {
		m.Headers = []*xdsv1.ValueMatch{{Name: "x-h", Value: g.pick("1", "2"), Regex: g.IntN(4) == 0}}
	}
	if g.IntN(3) == 0 {
		m.QueryParams = []*xdsv1.ValueMatch{{Name: "q", Value: g.pick("1", "2"), Regex: g.IntN(4) == 0}}
	}
	return m
}

// naive is the rule that the specification chooses, as "listener route rule".
func naive(rs map[string]*xdsv1.Resource, x *exchange.Exchange) string {
	host, ok := naiveHost(string(x.Req.Host()))
	if !ok {
		return ""
	}
	var listener *xdsv1.Listener
	best := -1
	for _, key := range slices.Sorted(maps.Keys(rs)) {
		if l := rs[key].GetListener(); l != nil && covers(l.Hostname, host) > best {
			listener, best = l, covers(l.Hostname, host)
		}
	}
	var won []any
	winner := ""
	for _, key := range slices.Sorted(maps.Keys(rs)) {
		r := rs[key].GetRoute()
		for i, rule := range r.GetHttp().GetRules() {
			for _, rank := range naiveRule(r, rule, listener, host, x) {
				rank = append(rank, -int(r.Created.Seconds), reversed(r.Namespace+"/"+r.Name), -i)
				if won == nil || less(won, rank) {
					won, winner = rank, fmt.Sprintf("%s %s/%s %d", listener.Name, r.Namespace, r.Name, i)
				}
			}
		}
	}
	return winner
}

// naiveRule ranks each way in which a rule matches.
func naiveRule(r *xdsv1.Route, rule *xdsv1.HTTPRule, l *xdsv1.Listener, host string, x *exchange.Exchange) (ranks [][]any) {
	matches := rule.Matches
	if len(matches) == 0 {
		matches = []*xdsv1.HTTPMatch{{}}
	}
	for _, p := range r.Parents {
		if p.Listener != l.GetKey() {
			continue
		}
		names := p.Hostnames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, name := range names {
			for _, m := range matches {
				if rank, ok := naiveMatch(m, x); ok && covers(name, host) >= 0 {
					ranks = append(ranks, append([]any{covers(name, host)}, rank...))
				}
			}
		}
	}
	return ranks
}

// reversed makes a string that sorts the other way round; names here have one digit or two.
func reversed(name string) string {
	b := []byte(name + "\x00\x00\x00")
	for i := range b {
		b[i] = 255 - b[i]
	}
	return string(b)
}

func less(a, b []any) bool {
	for i := range a {
		if s, ok := a[i].(string); ok {
			if o := b[i].(string); s != o {
				return s < o
			}
		} else if n, o := a[i].(int), b[i].(int); n != o {
			return n < o
		}
	}
	return false
}

var (
	dnsHost  = regexp.MustCompile(`^(([A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+\.?(:[0-9]{0,5})?)?$`)
	addrHost = regexp.MustCompile(`^\[[0-9A-Fa-f:.]{1,46}\](:[0-9]{0,5})?$`)
)

func naiveHost(h string) (string, bool) {
	if !dnsHost.MatchString(h) && !addrHost.MatchString(h) {
		return "", false
	}
	if i := strings.LastIndexByte(h, ':'); i > strings.IndexByte(h, ']') {
		var port int
		fmt.Sscan(h[i+1:], &port)
		if port > 65535 {
			return "", false
		}
		h = h[:i]
	}
	h = strings.TrimSuffix(strings.ToLower(h), ".")
	return h, len(h) <= 253
}

// covers ranks how specifically a hostname covers a host; negative: not at all.
func covers(hostname, host string) int {
	suffix, wild := strings.CutPrefix(hostname, "*")
	switch {
	case hostname == "":
		return 0
	case wild && strings.HasSuffix(host, suffix) && len(host) > len(suffix):
		return len(suffix)
	case !wild && host == hostname:
		return 1000
	}
	return -1
}

func naiveMatch(m *xdsv1.HTTPMatch, x *exchange.Exchange) (rank []any, ok bool) {
	path := string(x.Path)
	kind, length := 0, 0
	switch p := m.GetPath(); p.GetKind() {
	case xdsv1.PathMatch_EXACT:
		kind, ok = 2, path == p.Value
	case xdsv1.PathMatch_REGEX:
		kind, length, ok = 1, len(p.Value), wholly(p.Value, path)
	default:
		prefix := strings.TrimSuffix(p.GetValue(), "/")
		length, ok = len(prefix), path == prefix && path != "" || strings.HasPrefix(path, prefix+"/")
	}
	hasMethod := 0
	if m.Method != "" {
		hasMethod = 1
		ok = ok && m.Method == string(x.Req.Method())
	}
	for _, h := range m.Headers {
		values := x.Req.PeekAll(h.Name)
		var all []string
		for _, v := range values {
			all = append(all, string(v))
		}
		ok = ok && len(all) > 0 && equals(h, strings.Join(all, ","))
	}
	for _, q := range m.QueryParams {
		v, has := naiveQuery(string(x.Query), q.Name)
		ok = ok && has && equals(q, v)
	}
	return []any{kind, length, hasMethod, len(m.Headers), len(m.QueryParams)}, ok
}

func wholly(expression, s string) bool {
	return regexp.MustCompile(`\A(?:` + expression + `)\z`).MatchString(s)
}

func equals(v *xdsv1.ValueMatch, s string) bool {
	if v.Regex {
		return wholly(v.Value, s)
	}
	return v.Value == s
}

var escape = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

func naiveQuery(query, name string) (string, bool) {
	decode := func(s string) string {
		return escape.ReplaceAllStringFunc(strings.ReplaceAll(s, "+", " "), func(e string) string {
			var c byte
			fmt.Sscanf(e, "%%%02x", &c)
			return string([]byte{c})
		})
	}
	for pair := range strings.SplitSeq(query, "&") {
		k, v, _ := strings.Cut(pair, "=")
		if decode(k) == name && pair != "" {
			return decode(v), true
		}
	}
	return "", false
}
