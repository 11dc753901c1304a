package table

import (
	"fmt"
	"testing"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// oneRoute compiles rules that stand in one route for every host. The backends are a to f.
func oneRoute(t *testing.T, rules string) *Port {
	t.Helper()
	texts := []string{httpListener("http", ""), httpRoute("r", "http", "", rules)}
	for _, b := range []string{"a", "b", "c", "d", "e", "f"} {
		texts = append(texts, backend(b))
	}
	return compile(t, texts...).Ports()[0]
}

func expect(t *testing.T, p *Port, want, line string, header ...string) {
	t.Helper()
	if got := serve(p, request(t, line, header...)); got != want {
		t.Errorf("%s %q: %s, want %s", line, header, got, want)
	}
}

// The cases of the conformance test HTTPRouteMatching.
func TestPrefixesMatchByElement(t *testing.T) {
	p := oneRoute(t, rule(`matches{path{kind:PREFIX value:"/"}} matches{headers{name:"version" value:"one"}}`, "a")+
		rule(`matches{path{kind:PREFIX value:"/v2"}} matches{headers{name:"version" value:"two"}}`, "b"))
	f := func(want, line string, header ...string) { t.Helper(); expect(t, p, want, line, header...) }
	f("a", "GET h/")
	f("a", "GET h/example")
	f("a", "GET h/", "Version: one")
	f("b", "GET h/v2")
	f("b", "GET h/v2/example")
	f("b", "GET h/", "Version: two")
	f("b", "GET h/v2/")
	f("a", "GET h/v2example")
	f("a", "GET h/foo/v2/example")
}

// The cases of the conformance tests HTTPRoutePathMatchOrder and HTTPExactPathMatching.
func TestPathOrder(t *testing.T) {
	p := oneRoute(t, rule(`matches{path{kind:EXACT value:"/match"}}`, "a")+
		rule(`matches{path{kind:EXACT value:"/match/exact"}}`, "b")+
		rule(`matches{path{kind:EXACT value:"/match/exact/one"}}`, "c")+
		rule(`matches{path{kind:PREFIX value:"/match/"}}`, "d")+
		rule(`matches{path{kind:PREFIX value:"/match/prefix/"}}`, "e")+
		rule(`matches{path{kind:PREFIX value:"/match/prefix/one"}}`, "f"))
	f := func(want, line string) { t.Helper(); expect(t, p, want, line) }
	f("c", "GET h/match/exact/one")
	f("b", "GET h/match/exact")
	f("a", "GET h/match")
	f("f", "GET h/match/prefix/one/any")
	f("e", "GET h/match/prefix/any")
	f("e", "GET h/match/prefix")
	f("d", "GET h/match/any")
	f("d", "GET h/match/exact/")
	f("404", "GET h/")
	f("404", "GET h/Match")
}

func TestRegularExpressionsStandBetweenExactPathsAndPrefixes(t *testing.T) {
	p := oneRoute(t, rule(`matches{path{kind:PREFIX value:"/"}}`, "a")+
		rule(`matches{path{kind:REGEX value:"/[a-z]+"}}`, "b")+
		rule(`matches{path{kind:REGEX value:"/x|/[a-z]+/.*"}}`, "c")+
		rule(`matches{path{kind:EXACT value:"/exact"}}`, "d"))
	f := func(want, line string) { t.Helper(); expect(t, p, want, line) }
	f("d", "GET h/exact")
	f("b", "GET h/abc")
	f("c", "GET h/x") // the longer expression
	f("c", "GET h/abc/")
	f("a", "GET h/ABC")
	f("a", "GET h/abc1")
}

func TestEqualPathsAreOrderedByTheirOtherConditions(t *testing.T) {
	p := oneRoute(t, rule(`matches{query_params{name:"q" value:"1"} query_params{name:"r" value:"1"}}`, "a")+
		rule(`matches{headers{name:"x" value:"1"}}`, "b")+
		rule(`matches{headers{name:"x" value:"1"} headers{name:"y" value:"1"}}`, "c")+
		rule(`matches{method:"PUT"}`, "d")+
		rule(`matches{}`, "e")+rule(`matches{}`, "f"))
	f := func(want, line string, header ...string) { t.Helper(); expect(t, p, want, line, header...) }
	f("d", "PUT h/?q=1&r=1", "X: 1", "Y: 1")
	f("c", "GET h/?q=1&r=1", "X: 1", "Y: 1")
	f("b", "GET h/?q=1&r=1", "X: 1")
	f("a", "GET h/?q=1&r=1")
	f("e", "GET h/")
	// A longer prefix comes before all of that.
	p = oneRoute(t, rule(`matches{method:"GET" path{kind:PREFIX value:"/"}}`, "a")+rule(`matches{path{kind:PREFIX value:"/x"}}`, "b"))
	f("b", "GET h/x")
}

func TestOldestRouteThenNameDecides(t *testing.T) {
	route := func(name string, created int) string {
		return fmt.Sprintf(`route{key:"route/http/a/%s" namespace:"a" name:"%s" created{seconds:%d}
			parents{listener:"listener/infra/web/http"} http{%s}}`, name, name, created, rule("", name))
	}
	f := func(want string, routes ...string) {
		t.Helper()
		texts := append(routes, httpListener("http", ""), backend("a"), backend("b"), backend("c"))
		expect(t, compile(t, texts...).Ports()[0], want, "GET h/")
	}
	f("c", route("a", 30), route("b", 20), route("c", 10))
	f("a", route("c", 10), route("b", 10), route("a", 10))
}

func TestHeaderValues(t *testing.T) {
	p := oneRoute(t, rule(`matches{headers{name:"x-list" value:"a,b"}}`, "a")+
		rule(`matches{headers{name:"x-re" value:"v[0-9]+" regex:true}}`, "b")+
		rule(`matches{headers{name:"host" value:"special"}}`, "c")+
		rule(`matches{headers{name:"content-type" value:"text/csv"}}`, "d")+
		rule(`matches{headers{name:"x-empty" value:""}}`, "e"))
	f := func(want, line string, header ...string) { t.Helper(); expect(t, p, want, line, header...) }
	f("a", "GET h/", "X-List: a,b")
	f("a", "GET h/", "x-list: a", "X-LIST: b")
	f("404", "GET h/", "X-List: a")
	f("404", "GET h/", "X-List: a", "X-List: b", "X-List: c")
	f("404", "GET h/", "X-List: A,B")
	f("b", "GET h/", "X-Re: v12")
	f("404", "GET h/", "X-Re: v12 ") // fasthttp's Add trims nothing; the whole value has to match
	f("404", "GET h/", "X-Re: v1", "X-Re: v2")
	f("c", "GET special/")
	f("d", "POST h/", "Content-Type: text/csv")
	f("e", "GET h/", "X-Empty: ")
	f("404", "GET h/")
}

func TestQueryParams(t *testing.T) {
	p := oneRoute(t, rule(`matches{query_params{name:"animal" value:"whale"}}`, "a")+
		rule(`matches{query_params{name:"animal" value:"dolphin"} query_params{name:"color" value:"deep blue"}}`, "b")+
		rule(`matches{query_params{name:"a b" value:"%"}}`, "c")+
		rule(`matches{query_params{name:"n" value:"[0-9]+" regex:true}}`, "d"))
	f := func(want, line string) { t.Helper(); expect(t, p, want, line) }
	f("a", "GET h/?animal=whale")
	f("a", "GET h/?x&animal=whale&animal=dolphin")
	f("404", "GET h/?animal=dolphin&animal=whale")
	f("404", "GET h/?ANIMAL=whale")
	f("404", "GET h/?animal=whaledolphin")
	f("a", "GET h/?anim%61l=%77hale")
	f("b", "GET h/?animal=dolphin&color=deep+blue")
	f("b", "GET h/?animal=dolphin&color=deep%20blue")
	f("c", "GET h/?a+b=%")
	f("c", "GET h/?a%20b=%25")
	f("d", "GET h/?n=12")
	f("d", "GET h/?n=%312")
	f("404", "GET h/?n=x12")
	f("404", "GET h/?n")
}

func TestPathsOfRulesAreNormalisedAsThoseOfRequests(t *testing.T) {
	p := oneRoute(t, rule(`matches{path{kind:EXACT value:"/%61%2f"}}`, "a")+rule(`matches{path{kind:PREFIX value:"/ü"}}`, "b"))
	expect(t, p, "a", "GET h/a%2F")
	expect(t, p, "b", "GET h/%C3%BC/x")
}

func TestMatchedPrefix(t *testing.T) {
	p := oneRoute(t, rule(`matches{path{kind:PREFIX value:"/a/"}}`, "a")+rule(`matches{path{kind:EXACT value:"/x/y"}}`, "b")+
		rule(``, "c"))
	f := func(line string, want int) {
		t.Helper()
		x := request(t, line)
		if p.Match(x); x.MatchedPrefix != want {
			t.Errorf("%s: %d, want %d", line, x.MatchedPrefix, want)
		}
	}
	f("GET h/a/b", len("/a"))
	f("GET h/a", len("/a"))
	f("GET h/x/y", len("/x/y"))
	f("GET h/b", 0)
}

func TestManyPathsOfOneHost(t *testing.T) {
	var rules string
	for i := range 40 {
		rules += rule(fmt.Sprintf(`matches{path{kind:PREFIX value:"/p%d/x"}} matches{path{kind:EXACT value:"/e%d"}}`, i, i), "a")
	}
	p := oneRoute(t, rules+rule(`matches{path{kind:PREFIX value:"/p1"}}`, "b"))
	f := func(want, line string) { t.Helper(); expect(t, p, want, line) }
	f("a", "GET h/p39/x/y")
	f("a", "GET h/e12")
	f("b", "GET h/p1/y")
	f("404", "GET h/e12/")
	f("404", "GET h/p39")
}

func TestGRPC(t *testing.T) {
	grpc := func(matches, service string) string {
		return fmt.Sprintf(`rules{%s backends{backend:"backend/a/%s/80" weight:1}}`, matches, service)
	}
	texts := []string{httpListener("http", ""), `route{key:"route/grpc/a/g" namespace:"a" name:"g"
		parents{listener:"listener/infra/web/http"} grpc{` +
		grpc(`matches{service:"shop.Cart" method:"Add"}`, "a") +
		grpc(`matches{service:"shop.Cart"}`, "b") +
		grpc(`matches{method:"Add"}`, "c") +
		grpc(`matches{service:"shop\\..*" method:"List|Get" regex:true}`, "d") +
		grpc(`matches{method:"AddAll" headers{name:"x" value:"1"}}`, "e") + `}}`}
	for _, b := range []string{"a", "b", "c", "d", "e"} {
		texts = append(texts, backend(b))
	}
	tb := compile(t, texts...)
	f := func(want, line string, header ...string) { t.Helper(); expect(t, tb.Ports()[0], want, line, header...) }
	f("a", "POST h/shop.Cart/Add")
	f("b", "POST h/shop.Cart/Remove")
	f("404", "GET h/shop.Cart/Add")
	f("c", "POST h/other/Add")
	f("404", "POST h/Add")
	f("404", "POST h/a/b/Add")
	f("d", "POST h/shop.Users/Get")
	f("404", "POST h/shop.Users/GetAll")
	f("404", "POST h/other/AddAll")
	f("e", "POST h/other/AddAll", "X: 1")
	r := tb.Ports()[0].Match(request(t, "POST h/shop.Cart/Add"))
	r.Memo = nil
	if want := (exchange.RouteInfo{Gateway: "infra/web", Listener: "http", Kind: "GRPCRoute", Route: "a/g", Rule: "0"}); r.RouteInfo != want {
		t.Errorf("%+v", r.RouteInfo)
	}
	if f := r.Pick().Handler.(*forwarder); !f.GRPC || !f.Cluster.H2 {
		t.Error("a gRPC backend is not called by HTTP/2")
	}
}
