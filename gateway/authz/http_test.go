package authz

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestHTTPQuestion: the server gets method, host, path with prefix, Authorization and what is listed; nothing else.
func TestHTTPQuestion(t *testing.T) {
	f := func(message, want string, x *exchange.Exchange) {
		t.Helper()
		var got string
		addr := overHTTPServer(t, func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			var head []string
			for name, values := range r.Header {
				head = append(head, name+"="+strings.Join(values, "|"))
			}
			slices.Sort(head)
			got = fmt.Sprintf("%s %s %s %d %q %s", r.Method, r.Host, r.RequestURI, r.ContentLength, b, strings.Join(head, ","))
		})
		c, counts := newFilter(t, addr, message)
		passes(t, c, x)
		if got != want {
			t.Errorf("%s:\n%s, want\n%s", message, got, want)
		}
		if fmt.Sprint(counts.results) != "[allowed]" || x.Authz.Result != "allowed" {
			t.Errorf("results %v, %s", counts.results, x.Authz.Result)
		}
	}
	head := []string{"Authorization: Bearer x", "X-One: 1", "X-One: 2", "X-Two: 3", "Cookie: a=\"b\"; c", "Te: trailers", "Connection: x-two, close"}
	f(``, `GET example.com /a/b?c=d 0 "" Authorization=Bearer x`, request(t, "GET", "/a/b?c=d", "", head...))
	f(`path_prefix:"/auth/"`, `POST example.com /auth/a 0 "" Authorization=Bearer x,Content-Length=0`, request(t, "POST", "/a", "body", head...))
	f(`path_prefix:"/x/../auth" max_body_bytes:4`, `POST example.com /auth/a 4 "body" Authorization=Bearer x,Content-Length=4`, request(t, "POST", "/a", "body", head...))
	f(`allowed_request_headers:["x-one","X-TWO","te","connection"]`, `GET example.com / 0 "" Authorization=Bearer x,X-One=1|2`, request(t, "GET", "/", "", head...))
	// What says whom the request is for is the gateway's word, not the client's.
	f(`allowed_request_headers:["x-forwarded-for","x-forwarded-proto"]`, `GET example.com / 0 "" X-Forwarded-For=192.0.2.1,X-Forwarded-Proto=http`,
		request(t, "GET", "/", "", "X-Forwarded-For: 10.0.0.1", "X-Forwarded-Proto: https"))
}

// TestHTTPBody: the backend still gets what the server was shown, and a larger body is refused.
func TestHTTPBody(t *testing.T) {
	addr := overHTTPServer(t, func(http.ResponseWriter, *http.Request) {})
	f, counts := newFilter(t, addr, `max_body_bytes:4`)
	x := request(t, "POST", "/", "body")
	passes(t, f, x)
	if x.ReqBody.Stream != nil || string(x.ReqBody.Bytes) != "body" {
		t.Errorf("body %q", x.ReqBody.Bytes)
	}
	refuses(t, f, request(t, "POST", "/", "body+"), 413)
	x = request(t, "POST", "/", "body+")
	x.ReqBody.Length = -1
	refuses(t, f, x, 413)
	if fmt.Sprint(counts.results) != "[allowed too_large too_large]" {
		t.Errorf("%v", counts.results)
	}
}

// TestHTTPAllowed: fields of the answer go into the request, and never those of the connection, the host or the content.
func TestHTTPAllowed(t *testing.T) {
	addr := overHTTPServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["X-User"] = []string{"alice", "bob"}
		w.Header().Set("X-Other", "o")
		w.Header().Set("Host", "evil.example")
		w.Header().Set("Authority", "evil.example")
		w.Header().Set("Content-Type", "text/x-auth")
		w.Header().Set("Keep-Alive", "1")
		io.WriteString(w, "yes")
	})
	own := []string{"Content-Type: application/json", "X-User: mallory", "X-Role: admin", "X-Other: mine"}
	f, _ := newFilter(t, addr, ``)
	x := request(t, "POST", "/", "{}", own...)
	passes(t, f, x)
	has(t, &x.Req, "X-User", "alice|bob")
	has(t, &x.Req, "X-Other", "o")
	has(t, &x.Req, "X-Role", "admin")
	has(t, &x.Req, "Content-Type", "application/json")
	has(t, &x.Req, "Authority", "")
	has(t, &x.Req, "Keep-Alive", "")
	has(t, &x.Req, "Content-Length", "2")
	has(t, &x.Req, "Host", "example.com")

	f, _ = newFilter(t, addr, `allowed_response_headers:["x-user","X-Role","host"]`)
	x = request(t, "POST", "/", "{}", own...)
	passes(t, f, x)
	has(t, &x.Req, "X-User", "alice|bob")
	has(t, &x.Req, "X-Role", "") // the server's alone
	has(t, &x.Req, "X-Other", "mine")
	has(t, &x.Req, "Host", "example.com")
}

// TestHTTPDenied: the client gets what the server says.
func TestHTTPDenied(t *testing.T) {
	f := func(status int, want int, head, wantHead, body, wantBody string, x *exchange.Exchange) {
		t.Helper()
		addr := overHTTPServer(t, func(w http.ResponseWriter, _ *http.Request) {
			if name, value, ok := strings.Cut(head, ": "); ok {
				w.Header().Set(name, value)
			}
			w.Header().Add("Set-Cookie", "a=1")
			w.Header().Add("Set-Cookie", "b=2")
			w.WriteHeader(status)
			io.WriteString(w, body)
		})
		c, _ := newFilter(t, addr, ``)
		if got := refuses(t, c, x, want); got != wantBody {
			t.Errorf("%d: body %q, want %q", status, got, wantBody)
		}
		if name, value, ok := strings.Cut(wantHead, ": "); ok {
			has(t, &x.Resp, name, value)
		}
	}
	get := func() *exchange.Exchange { return request(t, "GET", "/", "") }
	f(401, 401, `Www-Authenticate: Basic realm="x"`, `Www-Authenticate: Basic realm="x"`, "no", "no", get())
	f(302, 302, "Location: https://login.example/", "Location: https://login.example/", "", "", get())
	f(418, 418, "Content-Type: text/html", "Content-Type: text/html", "<p>", "<p>", get())
	f(401, 401, "", "", "", "", get())
	f(204, 403, "", "", "", "the request is not allowed\n", get()) // would look like success
	f(304, 403, "", "", "", "the request is not allowed\n", get())
	f(500, 503, "", "Retry-After: 5", "secret", "it cannot be found out whether the request is allowed, for now\n", get())
	f(401, 401, "", "Content-Type: application/json", "",
		`{"error":{"message":"the request is not allowed","type":"authentication_error","param":null,"code":"permission_denied"}}`,
		request(t, "POST", "/v1/chat/completions", "{}"))
	x := request(t, "POST", "/s.S/M", "", "Content-Type: application/grpc")
	x.Proto = 2
	f(401, 200, `Www-Authenticate: Basic`, "Grpc-Status: 16", "no", "", x)
	has(t, &x.Resp, "Www-Authenticate", "Basic")
	has(t, &x.Resp, "Content-Type", "application/grpc")
}

// TestHTTPFailsClosed: no server, no answer, no pass.
func TestHTTPFailsClosed(t *testing.T) {
	addr := overHTTPServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/large":
			w.WriteHeader(403)
			w.Write(make([]byte, maxAnswer+1))
		case "/slow":
			<-r.Context().Done()
		default:
			panic(http.ErrAbortHandler)
		}
	})
	f, counts := newFilter(t, addr, ``)
	refuses(t, f, request(t, "GET", "/broken", ""), 503)
	refuses(t, f, request(t, "GET", "/large", ""), 503)
	x := request(t, "GET", "/slow", "")
	x.Deadline = x.Start.Add(1e8)
	refuses(t, f, x, 503)
	f.inFlight.Store(maxInFlight)
	refuses(t, f, request(t, "GET", "/", ""), 503)
	if fmt.Sprint(counts.results) != "[failed failed failed overflow]" {
		t.Errorf("%v", counts.results)
	}
	f, _ = newFilter(t, "127.0.0.1:1", ``)
	refuses(t, f, request(t, "GET", "/", ""), 503)
}

// TestAskedAgain: a connection that a server has closed in the meantime costs no request.
func TestAskedAgain(t *testing.T) {
	var n atomic.Int64
	addr := overHTTPServer(t, func(http.ResponseWriter, *http.Request) {
		if n.Add(1) == 1 {
			panic(http.ErrAbortHandler)
		}
	})
	f, _ := newFilter(t, addr, `max_body_bytes:10`)
	passes(t, f, request(t, "POST", "/", "body"))
}
