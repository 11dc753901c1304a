package filter

import (
	"testing"

	"github.com/valyala/fasthttp"
)

func TestRequestHeaders(t *testing.T) {
	f := func(filter, field, want string, header ...string) {
		t.Helper()
		x := request(t, "/", header...)
		run(build(t, "request_headers{"+filter+"}"), x, func() {})
		if got := all(x.Req.PeekAll(field)); got != want {
			t.Errorf("%s on %q: %s is %q, want %q", filter, header, field, got, want)
		}
	}
	// The examples of the Gateway API.
	f(`set{name:"my-header" value:"bar"}`, "My-Header", "bar", "my-header: foo")
	f(`add{name:"my-header" value:"bar,baz"}`, "My-Header", "foo|bar,baz", "my-header: foo")
	f(`remove:"my-header1" remove:"my-header3"`, "My-Header1", "", "my-header1: foo", "my-header2: bar", "my-header3: baz")
	f(`remove:"my-header1" remove:"my-header3"`, "My-Header2", "bar", "my-header1: foo", "my-header2: bar", "my-header3: baz")

	f(`set{name:"X-A" value:"1"}`, "x-a", "1")
	f(`set{name:"x-a" value:"1"}`, "X-A", "1", "X-A: 2", "X-A: 3", "X-A: 4")
	f(`remove:"X-A"`, "x-a", "", "x-a: 1", "X-A: 2")
	// What is left keeps its order.
	f(`remove:"x-a"`, "X-Forwarded-For", "1|2|3", "x-a: 0", "X-Forwarded-For: 1", "X-Forwarded-For: 2", "X-Forwarded-For: 3")
	f(`set{name:"x-a" value:"9"}`, "X-L", "1|2", "x-a: 0", "X-L: 1", "x-a: 0", "X-L: 2")

	// Fields that fasthttp keeps apart.
	f(`set{name:"host" value:"other.example"}`, "Host", "other.example")
	f(`add{name:"host" value:"other.example"}`, "Host", "other.example")
	f(`remove:"host"`, "Host", "example.com")
	f(`set{name:"content-type" value:"a/b"}`, "Content-Type", "a/b", "Content-Type: c/d")
	f(`remove:"Content-Type"`, "Content-Type", "", "Content-Type: c/d")
	f(`set{name:"User-Agent" value:"x"}`, "User-Agent", "x", "User-Agent: y")
	f(`remove:"user-agent"`, "User-Agent", "", "User-Agent: y")
	f(`set{name:"cookie" value:"a=1"}`, "Cookie", "a=1", "Cookie: b=2; c=3")
	f(`add{name:"cookie" value:"a=1"}`, "Cookie", "b=2; a=1", "Cookie: b=2")
	f(`remove:"cookie"`, "Cookie", "", "Cookie: b=2")

	// Fields of the connection and of framing are not a rule's.
	f(`set{name:"connection" value:"x-secret"}`, "Connection", "")
	f(`remove:"content-length"`, "Content-Length", "5", "Content-Length: 5")
	f(`set{name:"content-length" value:"1"}`, "Content-Length", "5", "Content-Length: 5")
	f(`set{name:"transfer-encoding" value:"chunked"}`, "Transfer-Encoding", "")
	f(`set{name:"te" value:"gzip"}`, "Te", "trailers", "TE: trailers")
}

// A client must not keep its own value of a field that a rule sets by announcing the field as a trailer.
func TestAnnouncedTrailersDoNotHideFields(t *testing.T) {
	x := request(t, "/", "Trailer: X-User", "X-User: admin")
	run(build(t, `request_headers{set{name:"x-user" value:"nobody"}}`), x, func() {})
	if got := all(x.Req.PeekAll("X-User")); got != "nobody" {
		t.Errorf("%q", got)
	}
	if n := len(x.Req.PeekTrailerKeys()); n != 0 {
		t.Errorf("%d trailers announced", n)
	}
}

func TestResponseHeaders(t *testing.T) {
	f := func(filter, field, want string, header ...string) {
		t.Helper()
		x := request(t, "/")
		run(build(t, "response_headers{"+filter+"}"), x, func() {
			x.ReplyBytes(200, "text/plain", nil)
			for i := 0; i < len(header); i += 2 {
				x.Resp.Add(header[i], header[i+1])
			}
		})
		if got := all(x.Resp.PeekAll(field)); got != want {
			t.Errorf("%s on %q: %s is %q, want %q", filter, header, field, got, want)
		}
	}
	// The cases of the conformance test HTTPRouteResponseHeaderModifier.
	f(`set{name:"X-Header-Set" value:"set-overwrites-values"}`, "X-Header-Set", "set-overwrites-values", "X-Header-Set", "other")
	f(`add{name:"X-Header-Add" value:"add-appends-values"}`, "X-Header-Add", "some|add-appends-values", "x-header-add", "some")
	f(`remove:"x-header-remove"`, "X-Header-Remove", "", "X-Header-Remove", "val")

	f(`set{name:"server" value:"nantian"}`, "Server", "nantian", "Server", "nginx")
	f(`remove:"server"`, "Server", "", "Server", "nginx")
	f(`set{name:"content-type" value:"a/b"}`, "Content-Type", "a/b")
	f(`remove:"content-type"`, "Content-Type", "")
	f(`remove:"content-encoding"`, "Content-Encoding", "", "Content-Encoding", "br")
	f(`set{name:"vary" value:"x"}`, "Vary", "x", "Vary", "a", "Vary", "b")
	f(`remove:"x-a"`, "Link", "1|2", "X-A", "0", "Link", "1", "Link", "2")
	f(`remove:"content-length"`, "Content-Length", "7", "Content-Length", "7")
}

func TestResponseCookies(t *testing.T) {
	f := func(filter, want string) {
		t.Helper()
		x := request(t, "/")
		run(build(t, "response_headers{"+filter+"}"), x, func() {
			x.Resp.Add("Set-Cookie", "a=1; Path=/")
			x.Resp.Add("Set-Cookie", "b=2")
		})
		var got [][]byte
		for _, v := range x.Resp.Cookies() {
			got = append(got, v)
		}
		if all(got) != want {
			t.Errorf("%s: %q, want %q", filter, all(got), want)
		}
	}
	f(`set{name:"set-cookie" value:"c=3; Secure"}`, "c=3; Secure")
	f(`add{name:"set-cookie" value:"a=3"}`, "a=1; Path=/|b=2|a=3")
	f(`remove:"set-cookie"`, "")
}

func TestHeaderFiltersDoNotAllocate(t *testing.T) {
	c := build(t, `request_headers{set{name:"x-a" value:"1"} add{name:"x-b" value:"2"} remove:"x-c"}`,
		`response_headers{set{name:"server" value:"n"} add{name:"x-b" value:"2"} remove:"x-b"}`,
		`rewrite{hostname:"other.example" path{prefix:"/longer/than/before"}}`, `request_headers{remove:"x-b"}`)
	x := request(t, "/a/b", "X-A: 0", "X-D: 1", "Cookie: a=b")
	answer := func() { x.Resp.SetStatusCode(200) }
	n := testing.AllocsPerRun(1000, func() {
		x.Path, x.MatchedPrefix = append(x.Path[:0], "/a/b"...), 2
		run(c, x, answer)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
	if got := string(x.Req.Peek(fasthttp.HeaderHost)) + string(x.Path); got != "other.example/longer/than/before/b" {
		t.Error(got)
	}
}
