package table

import (
	"strings"
	"testing"
)

func TestHost(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		got, ok := appendHost(nil, []byte(in))
		if !ok {
			got = []byte("invalid")
		}
		if string(got) != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	long := strings.Repeat("a.", 126) + "a"
	f("Example.COM", "example.com")
	f("example.com:8080", "example.com")
	f("example.com:", "example.com")
	f("example.com.", "example.com")
	f("example.com.:443", "example.com")
	f("a_b-c.1", "a_b-c.1")
	f("10.0.0.1:80", "10.0.0.1")
	f("[::1]:80", "[::1]")
	f("[::1]", "[::1]")
	f("", "")
	f(long, long)
	f(long+".", long)
	f(long+"a", "invalid")
	f(long+".a", "invalid")
	f(strings.Repeat("a", 100000), "invalid")
	f(":80", "invalid")
	f(".", "invalid")
	f(".example.com", "invalid")
	f("a..b", "invalid")
	f("example.com..", "invalid")
	f("example.com:x", "invalid")
	f("example.com:65536", "invalid")
	f("example.com:80:80", "invalid")
	f("user@example.com", "invalid")
	f("a b", "invalid")
	f("exämple.com", "invalid")
	f("a/b", "invalid")
	f("[::1", "invalid")
	f("[]", "invalid")
	f("[::1]x", "invalid")
	f("[evil.com]", "invalid")
}

func TestListenerWithTheMostSpecificHostnameServes(t *testing.T) {
	// The listeners of the conformance test GatewayHTTPListenerIsolation, with a route for each.
	p := compile(t, httpListener("empty", ""), httpListener("wild", "*.example.com"), httpListener("foo-wild", "*.foo.example.com"),
		httpListener("abc", "abc.foo.example.com"), backend("a"), backend("b"), backend("c"), backend("d"),
		httpRoute("empty", "empty", "", rule(`matches{path{kind:PREFIX value:"/empty"}}`, "a")),
		httpRoute("wild", "wild", "", rule(`matches{path{kind:PREFIX value:"/wild"}}`, "b")),
		httpRoute("foo-wild", "foo-wild", "", rule(`matches{path{kind:PREFIX value:"/foo"}}`, "c")),
		httpRoute("abc", "abc", "", rule(`matches{path{kind:PREFIX value:"/abc"}}`, "d")),
	).Ports()[0]
	f := func(want, line string) { t.Helper(); expect(t, p, want, line) }
	f("a", "GET bar.com/empty")
	f("404", "GET bar.com/wild")
	f("b", "GET bar.example.com/wild")
	f("404", "GET bar.example.com/empty")
	f("c", "GET bar.foo.example.com/foo")
	f("404", "GET bar.foo.example.com/wild")
	f("d", "GET abc.foo.example.com/abc")
	f("404", "GET abc.foo.example.com/foo")
	f("a", "GET example.com/empty") // a wildcard does not cover its own domain
	f("b", "GET x.y.example.com/wild")
	f("a", "GET [::1]:80/empty")
	f("404", "GET bad..host/empty")
}

func TestRoutesOfLessSpecificHostnamesComeAfter(t *testing.T) {
	p := compile(t, httpListener("http", ""), backend("a"), backend("b"), backend("c"), backend("d"),
		httpRoute("any", "http", "", rule(`matches{path{kind:EXACT value:"/x"}}`, "a")+rule(`matches{path{kind:PREFIX value:"/any"}}`, "a")),
		httpRoute("wild", "http", "*.com", rule(`matches{path{kind:PREFIX value:"/x"}}`, "b")),
		httpRoute("wilder", "http", "*.example.com", rule(`matches{path{kind:PREFIX value:"/x"} method:"PUT"}`, "c")),
		httpRoute("exact", "http", "a.example.com b.example.com", rule(`matches{path{kind:PREFIX value:"/x/exact"}}`, "d")),
	).Ports()[0]
	f := func(want, line string) { t.Helper(); expect(t, p, want, line) }
	f("d", "GET a.example.com/x/exact")
	f("d", "GET b.example.com/x/exact")
	f("c", "PUT a.example.com/x")
	f("b", "GET a.example.com/x") // though the catch-all matches more exactly
	f("a", "GET a.example.com/any")
	f("a", "GET example.org/x")
}

// Which of two routes goes first is decided by their own hostnames, on a listener that is narrower too (Gateway API,
// HTTPRouteSpec.hostnames).
func TestRoutesKeepTheRankOfTheirHostnames(t *testing.T) {
	p := compile(t, httpListener("l", "a.example.com"), backend("all"), backend("com"), backend("wild"), backend("exact"),
		httpRoute("all", "l", "", rule(`matches{path{kind:EXACT value:"/long/path"}}`, "all")),
		httpRoute("com", "l", "*.com", rule(`matches{path{kind:EXACT value:"/long/path"}}`, "com")),
		httpRoute("wild", "l", "*.example.com", rule(`matches{path{kind:PREFIX value:"/long"} headers{name:"x" value:"y"}}`, "wild")),
		httpRoute("exact", "l", "a.example.com", rule(`matches{path{kind:PREFIX value:"/long"} headers{name:"v" value:"w"}}`, "exact")),
	).Ports()[0]
	expect(t, p, "exact", "GET a.example.com/long/path", "x: y", "v: w")
	expect(t, p, "wild", "GET a.example.com/long/path", "x: y")
	expect(t, p, "com", "GET a.example.com/long/path")
	expect(t, p, "404", "GET a.example.com/other")
}
