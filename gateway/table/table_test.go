package table

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// builder makes handlers that name what they stand for.
type builder struct {
	models map[string]Models
}

var _ Builder = (*builder)(nil)

type forwarder struct{ Forward }

func (f *forwarder) Serve(x *exchange.Exchange) { x.Reply(200, "from "+f.Backend) }

type modeller struct{ key string }

// Under makes a handler that names the policies of its rule.
func (m *modeller) Under(rule []*xdsv1.Policy) (exchange.Handler, error) {
	return &under{m.key, rule}, nil
}

type under struct {
	key      string
	policies []*xdsv1.Policy
}

func (u *under) Serve(x *exchange.Exchange) {
	text := "model " + u.key
	for _, p := range u.policies {
		text += " under " + p.GetName()
	}
	x.Reply(200, text)
}

func (b *builder) Cluster(c upstream.Config) *upstream.Cluster { return upstream.NewCluster(c) }

func (b *builder) Session(*xdsv1.SessionPersistence, string) Session { return nil }

func (b *builder) Forward(f Forward) exchange.Handler { return &forwarder{f} }

func (b *builder) Models(key string, rs map[string]*xdsv1.Resource, _ *Clusters) (Models, error) {
	if rs[key] == nil {
		return nil, fmt.Errorf("there is no such resource")
	}
	if b.models == nil {
		b.models = map[string]Models{}
	}
	if b.models[key] == nil {
		b.models[key] = &modeller{key}
	}
	return b.models[key], nil
}

// Policies makes a filter of each policy that notes its name.
func (b *builder) Policies(list []*xdsv1.Policy) (filter.Chain, error) {
	var c filter.Chain
	for _, p := range list {
		c.Request = append(c.Request, named(p.GetName()))
	}
	return c, nil
}

// Authorize makes a filter that notes the server.
func (b *builder) Authorize(_ *xdsv1.ExternalAuth, cl *upstream.Cluster) filter.Authorizer {
	return named("asks " + cl.Name)
}

func (n named) OnResponse(*exchange.Exchange) {}

type named string

func (n named) OnRequest(x *exchange.Exchange) filter.Verdict {
	x.Note += string(n) + " "
	return filter.Continue
}

func (b *builder) Mirrored(string, filter.Outcome) {}

// resources reads resources in protobuf's text form.
func resources(t testing.TB, texts ...string) map[string]*xdsv1.Resource {
	t.Helper()
	rs := map[string]*xdsv1.Resource{}
	for _, text := range texts {
		r := &xdsv1.Resource{}
		if err := prototext.Unmarshal([]byte(text), r); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if err := xdsv1.Validate(r); err != nil {
			t.Fatal(err)
		}
		rs[xdsv1.KeyOf(r)] = r
	}
	return rs
}

func compile(t testing.TB, texts ...string) *Table {
	t.Helper()
	tb, err := Compile(resources(t, texts...), nil, &builder{})
	if err != nil {
		t.Fatal(err)
	}
	return tb
}

// httpListener is a listener of Gateway infra/web at port 80.
func httpListener(name, hostname string) string {
	return fmt.Sprintf(`listener{key:"listener/infra/web/%s" gateway:"infra/web" name:"%s" port:80 protocol:HTTP hostname:"%s"}`,
		name, name, hostname)
}

// backend is a backend in namespace a at port 80.
func backend(service string) string {
	return fmt.Sprintf(`backend{key:"backend/a/%s/80" protocol:HTTP1 endpoints{}}`, service)
}

// httpRoute is a route in namespace a; the listener is one of Gateway infra/web.
func httpRoute(name, listener, hostnames, rules string) string {
	var hosts strings.Builder
	for h := range strings.FieldsSeq(hostnames) {
		fmt.Fprintf(&hosts, "hostnames:%q ", h)
	}
	return fmt.Sprintf(`route{key:"route/http/a/%s" namespace:"a" name:"%s" parents{listener:"listener/infra/web/%s" %s} http{%s}}`,
		name, name, listener, hosts.String(), rules)
}

// rule is a rule with one backend.
func rule(matches, service string) string {
	return fmt.Sprintf(`rules{%s backends{backend:"backend/a/%s/80" weight:1}}`, matches, service)
}

// request makes an exchange of "GET host/path?query" and header lines.
func request(t testing.TB, line string, header ...string) *exchange.Exchange {
	t.Helper()
	method, target, ok := strings.Cut(line, " ")
	if !ok {
		t.Fatalf("%q is not a method and a target", line)
	}
	host, path, _ := strings.Cut(target, "/")
	x := exchange.Acquire(t.Context(), nil)
	x.Scheme = "http"
	x.Req.SetMethod(method)
	x.Req.SetHost(host)
	var query string
	path, query, x.HasQuery = strings.Cut("/"+path, "?")
	x.Path, x.Query = append(x.Path[:0], path...), append(x.Query[:0], query...)
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		x.Req.Add(name, value)
	}
	return x
}

// serve says which backend answers a request, or the status where none does.
func serve(p *Port, x *exchange.Exchange) string {
	r := p.Match(x)
	if r == nil {
		return "404"
	}
	r.Pick().Handler.Serve(x)
	if s := x.Resp.StatusCode(); s != 200 {
		return fmt.Sprint(s)
	}
	body := strings.TrimSpace(string(x.RespBody.Bytes))
	return strings.TrimSuffix(strings.TrimPrefix(body, "from a/"), ":80")
}

func TestRoutesByHostAndPath(t *testing.T) {
	p := compile(t, httpListener("http", ""), backend("one"), backend("two"),
		httpRoute("r", "http", "example.com", rule(`matches{path{kind:PREFIX value:"/api"}}`, "one")+
			rule(`matches{path{kind:EXACT value:"/"}}`, "two")),
	).Ports()[0]
	f := func(line, want string) {
		t.Helper()
		if got := serve(p, request(t, line)); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
	f("GET example.com/api", "one")
	f("GET example.com/api/", "one")
	f("GET example.com/api/x", "one")
	f("GET example.com/apix", "404")
	f("GET example.com/", "two")
	f("GET example.org/api", "404")
	f("GET EXAMPLE.com.:8080/api", "one")
}
