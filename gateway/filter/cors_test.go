package filter

import (
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// corsOf is the CORS fields of the response, and Vary, in a fixed order.
func corsOf(x *exchange.Exchange) string {
	var out []string
	for _, f := range [][2]string{
		{"origin", "Access-Control-Allow-Origin"}, {"credentials", "Access-Control-Allow-Credentials"},
		{"methods", "Access-Control-Allow-Methods"}, {"headers", "Access-Control-Allow-Headers"},
		{"expose", "Access-Control-Expose-Headers"}, {"age", "Access-Control-Max-Age"},
	} {
		if v := x.Resp.PeekAll(f[1]); len(v) > 0 {
			out = append(out, f[0]+"="+all(v))
		}
	}
	return strings.Join(out, " ")
}

const full = `cors{allow_origins:"https://www.foo.com" allow_origins:"https://*.bar.com" allow_methods:"GET" allow_methods:"OPTIONS"
	allow_headers:"x-header-1" allow_headers:"x-header-2" expose_headers:"x-header-3" expose_headers:"x-header-4"
	allow_credentials:true max_age_seconds:3600}`

const wildcard = `cors{allow_origins:"*" allow_methods:"*" allow_headers:"*" expose_headers:"*" `

// The cases of the conformance test HTTPRouteCORS.
func TestPreflight(t *testing.T) {
	f := func(filter, origin, method, headers, want string) {
		t.Helper()
		x := request(t, "/", "Origin: "+origin, "Access-Control-Request-Method: "+method)
		x.Req.SetMethod("OPTIONS")
		if headers != "" {
			x.Req.Set("Access-Control-Request-Headers", headers)
		}
		run(build(t, filter), x, func() { t.Errorf("%s: forwarded", origin) })
		if got := corsOf(x); got != want || x.Resp.StatusCode() != 204 {
			t.Errorf("%s from %s: %d\n got %s\nwant %s", filter, origin, x.Resp.StatusCode(), got, want)
		}
	}
	of := func(origin string) string {
		return "origin=" + origin + " credentials=true methods=GET, OPTIONS headers=x-header-1, x-header-2" +
			" expose=x-header-3, x-header-4 age=3600"
	}
	f(full, "https://www.foo.com", "GET", "x-header-1, x-header-2", of("https://www.foo.com"))
	f(full, "https://www.bar.com", "GET", "x-header-1, x-header-2", of("https://www.bar.com"))
	f(full, "https://xpto.www.bar.com", "GET", "x-header-1, x-header-2", of("https://xpto.www.bar.com"))
	f(full, "https://foobar.com", "GET", "", "")
	f(full, "https://bar.com", "GET", "", "")
	f(full, "http://www.foo.com", "GET", "", "")
	f(`cors{allow_origins:"https://www.foo.com" allow_methods:"*"}`, "https://www.foo.com", "POST", "",
		"origin=https://www.foo.com methods=* age=5")
	f(`cors{allow_origins:"*" allow_methods:"PUT"}`, "https://foobar.com:12345", "PUT", "", "origin=* methods=PUT age=5")
	f(wildcard+`allow_credentials:true}`, "https://foobar.com", "PUT", "x-1, x-2",
		"origin=https://foobar.com credentials=true methods=PUT headers=x-1, x-2 age=5")
	f(wildcard+`allow_credentials:true}`, "https://foobar.com", "PUT", "",
		"origin=https://foobar.com credentials=true methods=PUT age=5")
	f(wildcard+`}`, "https://foobar.com", "PUT", "x-1", "origin=* methods=* headers=* expose=* age=5")
}

func TestResponsesOfCORS(t *testing.T) {
	f := func(filter, origin, want, vary string) {
		t.Helper()
		x := request(t, "/")
		if origin != "" {
			x.Req.Set("Origin", origin)
		}
		run(build(t, filter), x, func() {
			x.ReplyBytes(200, "text/plain", nil)
			x.Resp.Set("Access-Control-Allow-Origin", "https://of.the.backend")
			x.Resp.Add("Vary", "Accept")
		})
		if got := corsOf(x); got != want {
			t.Errorf("%s from %q\n got %s\nwant %s", filter, origin, got, want)
		}
		if got := all(x.Resp.PeekAll("Vary")); got != vary {
			t.Errorf("%s from %q: Vary %q, want %q", filter, origin, got, vary)
		}
	}
	f(full, "https://www.foo.com", "origin=https://www.foo.com credentials=true expose=x-header-3, x-header-4", "Accept|Origin")
	f(full, "https://foobar.com", "", "Accept|Origin")
	f(full, "", "", "Accept|Origin")
	f(wildcard+`}`, "https://foobar.com", "origin=* expose=*", "Accept")
	f(wildcard+`allow_credentials:true}`, "https://foobar.com", "origin=https://foobar.com credentials=true", "Accept|Origin")
	f(wildcard+`}`, "null", "origin=* expose=*", "Accept")
}

func TestErrorsOfTheGatewayHaveCORSFields(t *testing.T) {
	x := request(t, "/", "Origin: https://www.foo.com")
	run(build(t, full), x, func() { x.Reply(504, "the backend did not answer in time") })
	if got := string(x.Resp.Peek("Access-Control-Allow-Origin")); got != "https://www.foo.com" {
		t.Error(got)
	}
}

func TestOptionsThatIsNoPreflightIsForwarded(t *testing.T) {
	for _, header := range [][]string{{}, {"Origin: https://www.foo.com"}, {"Access-Control-Request-Method: GET"}} {
		x := request(t, "/", header...)
		x.Req.SetMethod("OPTIONS")
		forwarded := false
		run(build(t, full), x, func() { forwarded = true })
		if !forwarded {
			t.Errorf("%q: was answered", header)
		}
	}
}

func TestVaryIsNotRepeated(t *testing.T) {
	f := func(before, want string) {
		t.Helper()
		x := request(t, "/")
		x.Resp.Set("Vary", before)
		addVary(&x.Resp, valueOrigin)
		if got := all(x.Resp.PeekAll("Vary")); got != want {
			t.Errorf("%q: %q, want %q", before, got, want)
		}
	}
	f("Accept, origin", "Accept, origin")
	f("*", "*")
	f("X-Origin", "X-Origin|Origin")
}

func TestOrigin(t *testing.T) {
	f := func(allowed, origin string, want bool) {
		t.Helper()
		o, err := parseOrigin(allowed)
		if err != nil {
			t.Fatal(err)
		}
		if got := o.matches([]byte(origin)); got != want {
			t.Errorf("%s allows %s: %v", allowed, origin, got)
		}
	}
	f("https://a.example", "https://a.example", true)
	f("https://A.Example", "https://a.example", true)
	f("https://a.example", "https://a.example:443", true)
	f("https://a.example:443", "https://a.example", true)
	f("http://a.example:80", "http://a.example", true)
	f("https://a.example", "https://a.example:8443", false)
	f("https://a.example:8443", "https://a.example:8443", true)
	f("https://a.example", "https://a.example.evil", false)
	f("https://*.a.example", "https://x.y.a.example", true)
	f("https://*.a.example", "https://a.example", false)
	f("https://*.a.example", "https://.a.example", false)
	f("https://*.a.example", "https://evila.example", false)
	f("https://*.a.example", "https://evil/.a.example", false)
	f("https://*.a.example", "https://x.a.example:1", false)
	f("https://*", "https://x", true)
	f("https://*", "http://x", false)
	f("https://*:1", "https://x:1", true)
	f("http://[::1]:8080", "http://[::1]:8080", true)
	f("http://[::1]", "http://[::1]", true)
	for _, bad := range []string{"", "*.a", "ftp://a", "https://", "https://a*b", "https://*a", "https://a/b", "https://u@a"} {
		if _, err := parseOrigin(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func FuzzOrigin(f *testing.F) {
	f.Add("https://*.a.example:1", "https://b.a.example:1")
	f.Add("http://[::1]", "http://[::1]:80")
	f.Fuzz(func(t *testing.T, allowed, origin string) {
		o, err := parseOrigin(allowed)
		if err != nil {
			return
		}
		if o.matches([]byte(origin)) && !strings.HasPrefix(origin, o.scheme) {
			t.Errorf("%s allows %s", allowed, origin)
		}
		if !o.any && !o.suffix && !o.matches([]byte(strings.ToLower(allowed))) {
			t.Errorf("%s does not allow itself", allowed)
		}
	})
}
