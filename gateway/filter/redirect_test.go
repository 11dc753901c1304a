package filter

import (
	"testing"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// The cases of the conformance tests HTTPRouteRedirectPortAndScheme, HostAndStatus and Path.
func TestRedirect(t *testing.T) {
	f := func(scheme string, port uint32, filter, path string, status int, want string) {
		t.Helper()
		c, err := Build(filters(t, "redirect{"+filter+"}"), Env{Port: port})
		if err != nil {
			t.Fatal(err)
		}
		x := request(t, path)
		x.Scheme, x.MatchedPrefix = scheme, len("/old")
		run(c, x, func() { t.Error("forwarded") })
		if got := string(x.Resp.Peek("Location")); got != want || x.Resp.StatusCode() != status {
			t.Errorf("%s at %s %d: %d %s, want %d %s", filter, scheme, port, x.Resp.StatusCode(), got, status, want)
		}
	}
	f("http", 80, ``, "/p", 302, "http://example.com/p")
	f("http", 80, `port:80`, "/p", 302, "http://example.com/p")
	f("http", 80, `port:8080`, "/p", 302, "http://example.com:8080/p")
	f("http", 80, `scheme:"https"`, "/p", 302, "https://example.com/p")
	f("http", 80, `scheme:"https" port:443`, "/p", 302, "https://example.com/p")
	f("http", 80, `scheme:"https" port:8443`, "/p", 302, "https://example.com:8443/p")
	f("http", 8080, ``, "/p", 302, "http://example.com:8080/p")
	f("http", 8080, `port:80`, "/p", 302, "http://example.com/p")
	f("http", 8080, `scheme:"https"`, "/p", 302, "https://example.com/p")
	f("https", 443, ``, "/p", 302, "https://example.com/p")
	f("https", 443, `scheme:"http"`, "/p", 302, "http://example.com/p")
	f("https", 443, `scheme:"http" port:8080`, "/p", 302, "http://example.com:8080/p")
	f("https", 443, `port:80`, "/p", 302, "https://example.com:80/p")

	f("http", 80, `hostname:"example.org" status:301`, "/old/x?a=b&c", 301, "http://example.org/old/x?a=b&c")
	f("http", 80, `path{full:"/new"} status:308`, "/old/x?", 308, "http://example.com/new?")
	f("http", 80, `path{prefix:"/new"} status:307`, "/old/lemon", 307, "http://example.com/new/lemon")
	f("http", 80, `status:303`, "//evil.example/", 303, "http://example.com//evil.example/")
}

func TestRedirectDropsThePortOfTheRequest(t *testing.T) {
	f := func(host, want string) {
		t.Helper()
		x := request(t, "/")
		x.Req.SetHost(host)
		run(build(t, "redirect{}"), x, func() {})
		if got := string(x.Resp.Peek("Location")); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
	f("example.com:8080", "http://example.com/")
	f("[::1]:8080", "http://[::1]/")
	f("[::1]", "http://[::1]/")
}

func TestRedirectAndCORSDoNotAllocate(t *testing.T) {
	c, preflight := build(t, full, `redirect{scheme:"https" path{prefix:"/new"}}`), request(t, "/", "Origin: https://www.foo.com",
		"Access-Control-Request-Method: GET")
	preflight.Req.SetMethod("OPTIONS")
	for name, x := range map[string]*exchange.Exchange{
		"redirect": request(t, "/old/x?q", "Origin: https://www.foo.com"), "preflight": preflight,
	} {
		x.MatchedPrefix = len("/old")
		if n := testing.AllocsPerRun(1000, func() { run(c, x, nil) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
