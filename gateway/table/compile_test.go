package table

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

func TestErrorsNameKeyAndField(t *testing.T) {
	f := func(want string, texts ...string) {
		t.Helper()
		tb, err := Compile(resources(t, texts...), nil, &builder{})
		if err == nil || err.Error() != want || tb != nil {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	l := httpListener("http", "")
	f(`route/http/a/r: http.rules[0].backends[0].backend: backend/a/s/80: there is no such backend`,
		l, httpRoute("r", "http", "", rule("", "s")))
	f(`route/http/a/r: parents[0].listener: there is no listener/infra/web/http`,
		backend("s"), httpRoute("r", "http", "", rule("", "s")))
	f(`route/http/a/r: http.rules[1].filters[0].mirror.backend: backend/a/m/80: there is no such backend`,
		l, backend("s"), httpRoute("r", "http", "", rule("", "s")+`rules{filters{mirror{backend:"backend/a/m/80"}}}`))
	f(`route/http/a/r: http.rules[0].backends[0].filters[0].external_auth.backend: backend/a/auth/80: there is no such backend`,
		l, backend("s"), httpRoute("r", "http", "", `rules{backends{backend:"backend/a/s/80" weight:1 filters{external_auth{backend:"backend/a/auth/80"}}}}`))
	f(`route/http/a/r: http.rules[0].backends[0].models: models/a/m: there is no such resource`,
		l, httpRoute("r", "http", "", `rules{backends{models:"models/a/m" weight:1}}`))
	f(`route/tcp/a/r: l4.backends[0].backend: backend/a/s/80: there is no such backend`,
		`listener{key:"listener/infra/web/t" port:1 protocol:TCP}`,
		`route{key:"route/tcp/a/r" parents{listener:"listener/infra/web/t"} l4{backends{backend:"backend/a/s/80" weight:1}}}`)
	f(`listener/infra/web/u: proxy_protocol: port 1 has false for other listeners`,
		`listener{key:"listener/infra/web/t" port:1 protocol:HTTP}`, `listener{key:"listener/infra/web/u" port:1 protocol:HTTP hostname:"a" proxy_protocol:true}`)
	f(`listener/infra/web/u: protocol: port 1 speaks TCP for other listeners`,
		`listener{key:"listener/infra/web/t" port:1 protocol:TCP}`, `listener{key:"listener/infra/web/u" port:1 protocol:HTTP}`)
	f(`listener/infra/web/s: tls.certificates[0]: secret/infra/c: there is no such certificate`,
		httpsListener("s", "", `certificates:"secret/infra/c"`))
	f(`listener/infra/web/two: hostname: "a.b" is that of listener/infra/web/one as well`,
		httpListener("one", "a.b"), httpListener("two", "a.b"))
	f(`route/http/a/r: http.rules[0].backends[0].backend: backend/a/s/80: tls.hostname: is empty`+"\n"+`route/http/a/z: parents[0].listener: there is no listener/infra/web/no`,
		l, `backend{key:"backend/a/s/80" protocol:HTTP1 endpoints{} tls{system_roots:true}}`,
		httpRoute("r", "http", "", rule("", "s")), httpRoute("z", "no", "", ""))
}

func TestExpressionsMatchWholeValues(t *testing.T) {
	f := func(text, s string, want bool) {
		t.Helper()
		re, err := compileWhole(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := re.MatchString(s); got != want {
			t.Errorf("%q on %q: %v", text, s, got)
		}
	}
	f(`a|b`, "ab", false)
	f(`a|ab`, "ab", true)
	f(`(?m)^a$`, "a\nb", false)
	f(`\Qa.`, "a.", true)
	f(`a`, "a\n", false)
	if _, err := compileWhole(`a)|(b`); err == nil {
		t.Error("an expression left its group")
	}
}

func TestPortsByAddress(t *testing.T) {
	tb := compile(t, `listener{key:"listener/a/g/x" port:80 protocol:HTTP addresses:"10.0.0.2" addresses:"10.0.0.1"}`,
		`listener{key:"listener/a/h/x" port:80 protocol:HTTP addresses:"10.0.0.3"}`,
		`listener{key:"listener/a/i/x" port:8080 protocol:HTTP}`)
	var got []string
	for _, p := range tb.Ports() {
		got = append(got, p.Address)
	}
	if s := strings.Join(got, " "); s != "10.0.0.1 10.0.0.2 10.0.0.3 " {
		t.Errorf("%q", s)
	}
}

func TestRulesCarryTheirSettings(t *testing.T) {
	p := compile(t, httpListener("http", ""), backend("s"), `provider{key:"provider/a/p" schema:OPENAI auth{none{}}
		endpoint{url:"https://api.example.com"}}`,
		httpRoute("r", "http", "", `rules{name:"main" request_timeout{seconds:3} backend_timeout{seconds:1} retry{attempts:2}
			backends{backend:"backend/a/s/80" weight:1}}
			rules{matches{path{kind:PREFIX value:"/ai"}} backends{provider:"provider/a/p" weight:1}}
			rules{matches{path{kind:PREFIX value:"/bad"}} backends{invalid:"no Service" weight:1}}
			rules{matches{path{kind:PREFIX value:"/old"}} filters{redirect{hostname:"new.example"}}}
			rules{matches{path{kind:PREFIX value:"/b"}} backends{backend:"backend/a/s/80" weight:1 filters{redirect{status:301}}}}
			rules{matches{path{kind:PREFIX value:"/f"}} filters{invalid:"no such filter"} backends{backend:"backend/a/s/80" weight:1}}
			`)).Ports()[0]
	r := p.Match(request(t, "GET h/"))
	f := r.Pick().Handler.(*forwarder)
	if r.Rule != "main" || f.Backend != "a/s:80" || r.Timeout != 3*time.Second || f.BackendTimeout != time.Second ||
		f.Retry.GetAttempts() != 2 || f.GRPC {
		t.Errorf("%+v %+v", r.RouteInfo, f.Forward)
	}
	if got := serve(p, request(t, "GET h/ai")); got != "model provider/a/p" {
		t.Error(got)
	}
	expect(t, p, "500", "GET h/bad")
	expect(t, p, "302", "GET h/old")
	expect(t, p, "301", "GET h/b")
	expect(t, p, "500", "GET h/f")
}

func TestWhatDidNotChangeIsUsedAgain(t *testing.T) {
	cert := newPair(t, newPair(t, nil), "example.com")
	rs := resources(t, httpListener("http", ""), cert.secret("c"), httpsListener("https", "", `certificates:"secret/infra/c"`),
		backend("a"), backend("b"), `provider{key:"provider/a/p" schema:OPENAI auth{none{}} endpoint{url:"https://x.example"}}`,
		httpRoute("ra", "http", "a.example", rule(`matches{path{kind:REGEX value:"/a.*"}}`, "a")),
		httpRoute("rb", "http", "b.example", rule("", "b")),
		httpRoute("rp", "http", "p.example", `rules{backends{provider:"provider/a/p" weight:1}}`))
	bd := &builder{}
	first, err := Compile(rs, nil, bd)
	if err != nil {
		t.Fatal(err)
	}
	change := func(prev *Table, change func(map[string]*xdsv1.Resource)) (map[string]*xdsv1.Resource, *Table) {
		next := map[string]*xdsv1.Resource{}
		for k, r := range rs {
			next[k] = proto.CloneOf(r) // as they come from the wire after a reconnect
		}
		change(next)
		tb, err := Compile(next, prev, bd)
		if err != nil {
			t.Fatal(err)
		}
		return next, tb
	}
	ruleOf := func(tb *Table, host string) *Rule { return tb.Ports()[0].Match(request(t, "GET "+host+"/a")) }
	_, second := change(first, func(rs map[string]*xdsv1.Resource) {
		rs["route/http/a/rb"].GetRoute().GetHttp().Rules[0].Backends[0].Weight = 7
	})
	if ruleOf(first, "a.example") != ruleOf(second, "a.example") || ruleOf(first, "p.example") != ruleOf(second, "p.example") {
		t.Error("a rule that did not change was compiled again")
	}
	if ruleOf(first, "b.example") == ruleOf(second, "b.example") || ruleOf(second, "b.example").total != 7 {
		t.Error("a rule that changed was not compiled again")
	}
	if first.Cluster("backend/a/b/80") != second.Cluster("backend/a/b/80") || len(second.Retired(first)) != 0 {
		t.Error("a cluster that did not change was made again")
	}
	if first.clusters.certificates.byKey["secret/infra/c"].pair != second.clusters.certificates.byKey["secret/infra/c"].pair {
		t.Error("a certificate that did not change was loaded again")
	}
	_, third := change(second, func(rs map[string]*xdsv1.Resource) {
		rs["backend/a/a/80"].GetBackend().Protocol = xdsv1.BackendProtocol_H2C
		rs["route/http/a/ra"].GetRoute().GetHttp().Rules[0].Matches[0].Method = "GET"
		delete(rs, "backend/a/b/80")
		delete(rs, "route/http/a/rb")
	})
	if ruleOf(third, "a.example").Pick().Handler.(*forwarder).Cluster != third.Cluster("backend/a/a/80") {
		t.Error("a rule kept the cluster of before")
	}
	if third.patterns["/a.*"] != first.patterns["/a.*"] {
		t.Error("an expression was compiled again")
	}
	retired := map[*upstream.Cluster]bool{}
	for _, cl := range third.Retired(second) {
		retired[cl] = true
	}
	if len(retired) != 2 || !retired[second.Cluster("backend/a/a/80")] || !retired[second.Cluster("backend/a/b/80")] {
		t.Errorf("%d clusters retired", len(retired))
	}
	if third.Cluster("backend/a/b/80") != nil || third.Retired(nil) != nil {
		t.Error("clusters of nothing")
	}
	bd.models = nil // another handler for the model
	_, fourth := change(third, func(rs map[string]*xdsv1.Resource) {})
	if ruleOf(fourth, "p.example") == ruleOf(third, "p.example") {
		t.Error("a rule kept the model handler of before")
	}
}

func TestABackendOfBothKindsOfRoutesHasTwoClusters(t *testing.T) {
	tb := compile(t, httpListener("http", ""), backend("s"), httpRoute("r", "http", "a.example", rule("", "s")),
		`route{key:"route/grpc/a/r" namespace:"a" name:"r" parents{listener:"listener/infra/web/http" hostnames:"b.example"}
			grpc{rules{backends{backend:"backend/a/s/80" weight:1}}}}`)
	if tb.SetEndpoints("backend/a/none/80", nil) || !tb.SetEndpoints("backend/a/s/80", []*xdsv1.Endpoint{{Address: "10.0.0.1", Port: 1}}) {
		t.Error("SetEndpoints says the wrong thing")
	}
	for _, line := range []string{"POST a.example/x/y", "POST b.example/x/y"} {
		f := tb.Ports()[0].Match(request(t, line)).Pick().Handler.(*forwarder)
		if f.Cluster.H2 != f.GRPC || !f.Cluster.Ready() {
			t.Errorf("%s: H2 %v, ready %v", line, f.Cluster.H2, f.Cluster.Ready())
		}
	}
}

func TestForConfig(t *testing.T) {
	first := newClusters(nil, nil)
	a := first.ForConfig(upstream.Config{Key: "provider/a/p", Host: "a.example", Port: 443}, "1")
	second := newClusters(nil, first)
	if second.ForConfig(upstream.Config{Key: "provider/a/p"}, "1") != a || second.ForConfig(upstream.Config{Key: "provider/a/p"}, "2") == a {
		t.Error("the hash does not decide")
	}
}
