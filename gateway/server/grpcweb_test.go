package server_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/config"
)

// startWeb serves a.S and some that fail by a GRPCRoute, and below web.example by HTTPRoutes.
func startWeb(t *testing.T, plain string) *gateway {
	one := rpc(t, "one")
	return startWith(t, builder{}, func(port int) config.Update {
		return texts(t, port, map[string]string{"backend/a/one/1": one, "backend/a/two/1": one, "backend/a/plain/1": plain},
			`listener{key:"listener/a/gw/http" gateway:"a/gw" name:"http" port:%d protocol:HTTP}`,
			`backend{key:"backend/a/one/1" protocol:HTTP1 endpoints{}}`, `backend{key:"backend/a/two/1" protocol:H2C endpoints{}}`,
			`backend{key:"backend/a/none/1" protocol:H2C endpoints{}}`, `backend{key:"backend/a/plain/1" protocol:HTTP1 endpoints{}}`,
			`route{key:"route/grpc/a/r" namespace:"a" name:"r" parents{listener:"listener/a/gw/http"} grpc{
				rules{matches{service:"a.S"} backends{backend:"backend/a/one/1" weight:1} filters{response_headers{set{name:"x-own" value:"1"}}}}
				rules{matches{service:"a.Invalid"} backends{invalid:"gone" weight:1}}
				rules{matches{service:"a.None"} backends{backend:"backend/a/none/1" weight:1}}
			}}`,
			`route{key:"route/http/a/w" namespace:"a" name:"w" parents{listener:"listener/a/gw/http" hostnames:"web.example"} http{
				rules{matches{path{kind:PREFIX value:"/a.S"}} backends{backend:"backend/a/two/1" weight:1}
					filters{cors{allow_origins:"https://app.example" allow_methods:"POST" allow_headers:"content-type"}}}
				rules{matches{path{kind:PREFIX value:"/plain"}} backends{backend:"backend/a/plain/1" weight:1}}
			}}`)
	})
}

// framed writes messages as gRPC does.
func framed(texts ...string) []byte {
	var out []byte
	for _, text := range texts {
		b, err := proto.Marshal(wrapperspb.String(text))
		if err != nil {
			panic(err)
		}
		out = append(binary.BigEndian.AppendUint32(append(out, 0), uint32(len(b))), b...)
	}
	return out
}

// frames reads messages, and the trailer in order of its names.
func readFrames(t *testing.T, b []byte) (texts []string, trailer string) {
	t.Helper()
	for len(b) > 0 {
		if len(b) < 5 || len(b) < 5+int(binary.BigEndian.Uint32(b[1:])) {
			t.Fatalf("not a frame: %q", b)
		}
		p := b[5 : 5+binary.BigEndian.Uint32(b[1:])]
		if b[0] == 0x80 {
			lines := strings.Split(strings.TrimSuffix(string(p), "\r\n"), "\r\n")
			slices.Sort(lines)
			trailer += strings.Join(lines, " ")
		} else {
			var m wrapperspb.StringValue
			if err := proto.Unmarshal(p, &m); err != nil {
				t.Fatal(err)
			}
			texts = append(texts, m.Value)
		}
		b = b[5+len(p):]
	}
	return texts, trailer
}

// decoded reads base64 with padding between its parts, as clients of gRPC-Web do.
func decoded(t *testing.T, b []byte) []byte {
	t.Helper()
	var out []byte
	for ; len(b) > 0; b = b[4:] {
		p, err := base64.StdEncoding.DecodeString(string(b[:4]))
		if err != nil {
			t.Fatalf("%v: %q", err, b)
		}
		out = append(out, p...)
	}
	return out
}

// webCall makes a call, over HTTP/1.1 or HTTP/2.
func (g *gateway) webCall(ctx context.Context, h2 bool, host, path, contentType string, body []byte, head ...string) *http.Response {
	g.t.Helper()
	r, err := http.NewRequestWithContext(ctx, "POST", "http://"+g.addr+path, bytes.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	r.Host = host
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("X-Grpc-Web", "1")
	r.Header.Set("X-Ask", "asked")
	for _, h := range head {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP1(!h2)
	tr.Protocols.SetUnencryptedHTTP2(h2)
	g.t.Cleanup(tr.CloseIdleConnections)
	resp, err := tr.RoundTrip(r)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// TestGRPCWeb: calls from browsers' clients, in both ways to write them and by both protocols.
func TestGRPCWeb(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		io.Copy(w, r.Body)
	}))
	defer plain.Close()
	g := startWeb(t, plain.Listener.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, h2 := range []bool{false, true} {
		f := func(host, path, contentType string, body []byte, wantType, want, wantTrailer string, head ...string) http.Header {
			t.Helper()
			resp := g.webCall(ctx, h2, host, path, contentType, body, head...)
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(wantType, "application/grpc-web-text") {
				b = decoded(t, b)
			}
			texts, trailer := readFrames(t, b)
			got := fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Content-Type"), " ", texts)
			if got != "200 "+wantType+" "+want || trailer != wantTrailer {
				t.Errorf("HTTP/2 %t, %s %s: %s\n%s, want %s\n%s", h2, path, contentType, got, trailer, want, wantTrailer)
			}
			if len(resp.Trailer) > 0 || resp.Header.Get("Grpc-Status") != "" {
				t.Errorf("the status is not in the body alone: %v %v", resp.Header, resp.Trailer)
			}
			return resp.Header
		}
		const web, text, tail = "application/grpc-web", "application/grpc-web-text", "x-tail-bin:AP8 x-tail:end"
		// One message, and several answers.
		h := f("h", "/a.S/M", web+"+proto", framed("hi"), web+"+proto", "[one/a.S/M hi]", "grpc-message: grpc-status:0 "+tail)
		if h.Get("X-Head") != "asked" || h.Get("X-Own") != "1" {
			t.Errorf("head %v", h)
		}
		f("h", "/a.S/M", web, framed("a", "b"), web, "[one/a.S/M a one/a.S/M b]", "grpc-message: grpc-status:0 "+tail)
		// In base64, padded between messages.
		coded := []byte(base64.StdEncoding.EncodeToString(framed("a")) + base64.StdEncoding.EncodeToString(framed("bcd")))
		f("h", "/a.S/M", text+"+proto", coded, text+"+proto", "[one/a.S/M a one/a.S/M bcd]", "grpc-message: grpc-status:0 "+tail)
		f("h", "/a.S/M", text, []byte(base64.StdEncoding.EncodeToString(framed("a"))), web, "[one/a.S/M a]", "grpc-message: grpc-status:0 "+tail, "Accept: application/grpc-web")
		// Errors of the server: with and without messages before, and of the gateway.
		f("h", "/a.S/M", web, framed("a", "!too much"), web, "[one/a.S/M a]", "grpc-message:too much grpc-status:8 "+tail)
		f("h", "/a.S/M", web, framed("!no"), web, "[]", "grpc-message:no grpc-status:8 "+tail)
		f("h", "/b.S/M", web, framed("a"), web, "[]", "grpc-message:no route matches this host and path grpc-status:12")
		f("h", "/a.Invalid/M", text, nil, text, "[]", "grpc-message:the route that matches this request is not configured correctly grpc-status:14")
		f("h", "/a.None/M", web, nil, web, "[]", "grpc-message:no endpoint of the backend is ready grpc-status:14")
		f("h", "/a.S/M", text, []byte("!!!!"), text, "[]", "grpc-message:the request body is malformed or did not arrive grpc-status:1")
		// The time of the client is up, before an answer and after one.
		f("h", "/a.S/M", web, framed("?"), web, "[]", "grpc-message:the backend did not answer in time grpc-status:4", "Grpc-Timeout: 200m")
		// An HTTPRoute to a backend of HTTP/2 is as good, and has a CORS filter.
		h = f("web.example", "/a.S/M", web, framed("hi"), web, "[one/a.S/M hi]", "grpc-message: grpc-status:0 "+tail, "Origin: https://app.example")
		if h.Get("Access-Control-Allow-Origin") != "https://app.example" {
			t.Errorf("head %v", h)
		}
		// One of HTTP/1.1 may know gRPC-Web itself.
		f("web.example", "/plain", web, framed("as it is"), web, "[as it is]", "")
	}
}

// TestGRPCWebStream: messages come as they are sent, and a client that leaves ends the call.
func TestGRPCWebStream(t *testing.T) {
	g := startWeb(t, "127.0.0.1:1")
	for _, h2 := range []bool{false, true} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		resp := g.webCall(ctx, h2, "h", "/a.S/M", "application/grpc-web", framed("a", "?"))
		first := make([]byte, len(framed("one/a.S/M a")))
		if _, err := io.ReadFull(resp.Body, first); err != nil || !bytes.Equal(first, framed("one/a.S/M a")) {
			t.Errorf("HTTP/2 %t: %q, %v", h2, first, err)
		}
		cancel()
	}
	// Its time is up between two messages.
	resp := g.webCall(t.Context(), false, "h", "/a.S/M", "application/grpc-web", framed("a", "?"), "Grpc-Timeout: 1S")
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if texts, trailer := readFrames(t, b); len(texts) != 1 || !strings.Contains(trailer, "grpc-status:4") {
		t.Errorf("%q, %q", texts, trailer)
	}
}

// TestGRPCWebBroken: a backend that breaks off between two messages gives the client a status, within one the end of the
// connection.
func TestGRPCWebBroken(t *testing.T) {
	message := framed("half")
	f := func(sent []byte, want string) {
		t.Helper()
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Write(sent)
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}))
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
		defer s.Close()
		g := startAt(t, s.Listener.Addr().String(), xdsv1.BackendProtocol_H2C)
		resp := g.webCall(t.Context(), false, "h", "/a.S/M", "application/grpc-web", framed("a"))
		b, err := io.ReadAll(resp.Body)
		if want == "" {
			if err == nil {
				t.Errorf("a message is cut, and the answer ends well: %q", b)
			}
			return
		}
		if texts, trailer := readFrames(t, b); err != nil || len(texts) != 1 || trailer != want {
			t.Errorf("%q, %q, %v, want %s", texts, trailer, err, want)
		}
	}
	f(message, "grpc-message:the backend broke off grpc-status:14")
	f(message[:len(message)-1], "")
	f(message[:3], "")
}
