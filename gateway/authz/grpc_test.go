package authz

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// TestGRPCQuestion: the server gets the attributes that Envoy would send.
func TestGRPCQuestion(t *testing.T) {
	var got *authv3.AttributeContext
	addr := overGRPCServer(t, func(r *authv3.CheckRequest) (*authv3.CheckResponse, error) {
		got = r.Attributes
		return &authv3.CheckResponse{}, nil
	})
	f, _ := newFilter(t, addr, `grpc:true max_body_bytes:100`)
	x := request(t, "POST", "/a?b=c", "body", "X-One: 1", "X-One: 2", "X-Request-Id: id", "Te: trailers", "X-Bad: \xff")
	x.TLS = &tls.ConnectionState{ServerName: "sni.example"}
	x.Scheme = "https"
	passes(t, f, x)
	h := got.GetRequest().GetHttp()
	text := fmt.Sprint(h.Method, " ", h.Host, " ", h.Path, " ", h.Scheme, " ", h.Protocol, " ", h.Size, " ", h.Body, " ", h.Id)
	if want := "POST example.com /a?b=c https HTTP/1.1 4 body id"; text != want {
		t.Errorf("%s, want %s", text, want)
	}
	for name, want := range map[string]string{"x-one": "1,2", ":authority": "example.com", ":path": "/a?b=c", ":method": "POST", "te": "", "host": "", "x-bad": "!", "x-forwarded-for": "192.0.2.1"} {
		if h.Headers[name] != want {
			t.Errorf("%s: %q, want %q", name, h.Headers[name], want)
		}
	}
	if a := got.Source.Address.GetSocketAddress(); a.Address != "192.0.2.1" || a.GetPortValue() != 1234 || got.TlsSession.Sni != "sni.example" {
		t.Errorf("%v", got)
	}

	f, _ = newFilter(t, addr, `grpc:true allowed_request_headers:"x-one" max_body_bytes:100`)
	passes(t, f, request(t, "POST", "/", "\xff", "X-One: 1", "X-Two: 2", "Authorization: secret"))
	h = got.GetRequest().GetHttp()
	if names := slices.Sorted(maps.Keys(h.Headers)); fmt.Sprint(names) != "[x-one]" || string(h.RawBody) != "\xff" || h.Body != "" {
		t.Errorf("%v", h)
	}
	f, _ = newFilter(t, addr, `grpc:true`)
	x = request(t, "POST", "/", "body")
	passes(t, f, x)
	if h = got.GetRequest().GetHttp(); h.Body != "" || h.RawBody != nil || x.ReqBody.Stream == nil {
		t.Errorf("the body was sent: %v", h)
	}
}

const changes = `
status {}
ok_response {
  headers { header { key: "x-set" value: "new" } }
  headers { header { key: "X-Append" value: "two" } append { value: true } }
  headers { header { key: "x-absent" value: "new" } append_action: ADD_IF_ABSENT }
  headers { header { key: "x-there" value: "new" } append_action: OVERWRITE_IF_EXISTS }
  headers { header { key: "x-not-there" value: "new" } append_action: OVERWRITE_IF_EXISTS }
  headers { header { key: "x-empty" } }
  headers { header { key: "x-kept" } keep_empty_value: true }
  headers { header { key: "x-raw" raw_value: "raw" } }
  headers { header { key: "host" value: "evil.example" } }
  headers { header { key: ":path" value: "/evil" } }
  headers { header { key: "content-length" value: "9" } }
  headers_to_remove: ["authorization", "host", "transfer-encoding"]
  response_headers_to_add { header { key: "x-answer" value: "1" } }
  response_headers_to_add { header { key: "x-answer" value: "2" } }
  query_parameters_to_set { key: "b" value: "x y" }
  query_parameters_to_set { key: "new" value: "&" }
  query_parameters_to_remove: "a"
}
dynamic_metadata {}`

func TestGRPCAllowed(t *testing.T) {
	f, counts := newFilter(t, answering(t, changes), `grpc:true`)
	x := request(t, "GET", "/?a=1&b=1&b=2&c=%zz&a", "", "X-Set: old", "X-Append: one", "X-Absent: old", "X-There: old", "X-Empty: old", "X-Kept: old", "Authorization: x")
	passes(t, f, x)
	for name, want := range map[string]string{
		"X-Set": "new", "X-Append": "one|two", "X-Absent": "old", "X-There": "new", "X-Not-There": "", "X-Empty": "", "X-Raw": "raw",
		"Host": "example.com", "Authorization": "", "Content-Length": "",
	} {
		has(t, &x.Req, name, want)
	}
	if q := string(x.Query); q != "b=x+y&c=%zz&new=%26" {
		t.Errorf("query %s", q)
	}
	if string(x.Path) != "/" {
		t.Errorf("path %s", x.Path)
	}
	x.Resp.Set("X-Answer", "0")
	f.OnResponse(x)
	has(t, &x.Resp, "X-Answer", "0|1|2")
	if fmt.Sprint(counts.results) != "[allowed]" {
		t.Errorf("%v", counts.results)
	}
}

func TestGRPCDenied(t *testing.T) {
	f := func(text string, status int, body string) *exchange.Exchange {
		t.Helper()
		c, _ := newFilter(t, answering(t, text), `grpc:true`)
		x := request(t, "GET", "/", "")
		if got := refuses(t, c, x, status); got != body {
			t.Errorf("%s: %q, want %q", text, got, body)
		}
		return x
	}
	x := f(`status { code: 16 } denied_response { status { code: Unauthorized } body: "no"
		headers { header { key: "content-type" value: "text/html" } } headers { header { key: "set-cookie" value: "a=1" } }
		headers { header { key: "set-cookie" value: "b=2" } } headers { header { key: "content-length" value: "9" } } }`, 401, "no")
	has(t, &x.Resp, "Content-Type", "text/html")
	has(t, &x.Resp, "Set-Cookie", "a=1|b=2")
	f(`status { code: 7 }`, 403, "the request is not allowed\n")
	f(`status { code: 7 } ok_response {}`, 403, "the request is not allowed\n")
	f(`denied_response { status { code: Found } headers { header { key: "location" value: "/login" } } }`, 302, "")
	f(`status {} error_response { status { code: Unauthorized } }`, 503, "it cannot be found out whether the request is allowed, for now\n")
	f(`ok_response { headers { header { key: "x" value: "a\r\nb: c" } } }`, 503, "it cannot be found out whether the request is allowed, for now\n")
	f(`ok_response { headers { header { key: "x y" value: "a" } } }`, 503, "it cannot be found out whether the request is allowed, for now\n")
}

func TestGRPCFailsClosed(t *testing.T) {
	addr := overGRPCServer(t, func(r *authv3.CheckRequest) (*authv3.CheckResponse, error) { return nil, errors.New("broken") })
	f, counts := newFilter(t, addr, `grpc:true`)
	refuses(t, f, request(t, "GET", "/", ""), 503)
	f, _ = newFilter(t, overHTTPServer(t, func(http.ResponseWriter, *http.Request) {}), `grpc:true`) // speaks HTTP/1.1 alone
	refuses(t, f, request(t, "GET", "/", ""), 503)
	if fmt.Sprint(counts.results) != "[failed]" {
		t.Errorf("%v", counts.results)
	}
}

// FuzzAnswer: whatever a server answers, what is allowed has only changes that can stand in a head.
func FuzzAnswer(f *testing.F) {
	m := &authv3.CheckResponse{}
	if err := prototext.Unmarshal([]byte(changes), m); err != nil {
		f.Fatal(err)
	}
	seed, err := proto.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed, "a=1&b")
	f.Add([]byte{}, "")
	f.Fuzz(func(t *testing.T, b []byte, query string) {
		framed := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(b))), b...)
		m, err := unframe(framed)
		if err != nil || string(m) != string(b) {
			t.Fatal(err)
		}
		if _, err := unframe(b); err == nil && len(b) < frameHead {
			t.Error("no frame, and yet a message")
		}
		a, err := verdict(m)
		if err != nil {
			return
		}
		x := request(t, "GET", "/", "", "X-One: 1")
		x.Query = append(x.Query, query...)
		if a.result == Allowed {
			a.allow(x)
		} else {
			a.refuse(x)
		}
		if string(x.Req.Host()) != "example.com" || len(x.Req.Peek("Content-Length")) > 0 {
			t.Errorf("%s", x.Req.String())
		}
		for _, list := range [][]exchange.Edit{a.request, a.response} {
			for _, e := range list {
				if protected(e.Name) {
					t.Errorf("%v", e)
				}
			}
		}
	})
}
