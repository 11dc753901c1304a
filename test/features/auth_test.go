package features

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/nantian-gw/nantian/test/rig"
)

// authorizer answers like an authorization server of gRPC that knows one token, and wants what it was shown back as a field.
type authorizer struct {
	authv3.UnimplementedAuthorizationServer
}

func (authorizer) Check(_ context.Context, r *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	h := r.GetAttributes().GetRequest().GetHttp()
	text := `denied_response { status { code: Unauthorized } body: "who are you?" headers { header { key: "www-authenticate" value: "Bearer" } } }`
	if h.GetHeaders()["authorization"] == "Bearer good" {
		text = fmt.Sprintf(`ok_response { headers { header { key: "x-seen" value: %q } } headers_to_remove: "authorization"
			response_headers_to_add { header { key: "x-answer" value: "1" } } query_parameters_to_set { key: "user" value: "alice" } }`,
			h.Method+" "+h.Host+" "+h.Path+" "+h.Body)
	}
	m := &authv3.CheckResponse{}
	return m, prototext.Unmarshal([]byte(text), m)
}

// overHTTP is an authorization server of HTTP that knows the same token.
func overHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.Header.Get("Authorization") != "Bearer good" {
		w.Header().Set("Location", "https://login.example/")
		w.WriteHeader(http.StatusFound)
		return
	}
	w.Header().Set("X-Seen", fmt.Sprintf("%s %s %s %s", r.Method, r.Host, r.RequestURI, body))
	w.Header().Set("X-Hidden", "1")
}

// serviceAt is a Service that leads to a port of this machine.
func serviceAt(name string, address net.Addr) string {
	return fmt.Sprintf(`
---
apiVersion: v1
kind: Service
metadata: {name: %s, namespace: gateway-conformance-infra}
spec: {type: ExternalName, externalName: localhost, ports: [{port: %d}]}
`, name, address.(*net.TCPAddr).Port)
}

// authRules are three rules before one backend: /http, /grpc, and /gone whose server is not there.
func authRules(overHTTP, overGRPC net.Addr) string {
	return fmt.Sprintf(`
  - matches: [{path: {value: /http}}]
    filters:
    - {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /backend}}}
    - type: ExternalAuth
      externalAuth:
        protocol: HTTP
        backendRef: {name: auth-http, port: %d}
        http: {path: /check, allowedResponseHeaders: [X-Seen]}
        forwardBody: {maxSize: 10}
    backendRefs: [{name: infra-backend-v1, port: 8080}]
  - matches: [{path: {value: /grpc}}]
    filters:
    - type: ExternalAuth
      externalAuth: {protocol: GRPC, grpc: {}, backendRef: {name: auth-grpc, port: %d}, forwardBody: {maxSize: 10}}
    backendRefs: [{name: infra-backend-v1, port: 8080}]
  - matches: [{path: {value: /gone}}]
    filters: [{type: ExternalAuth, externalAuth: {protocol: HTTP, http: {}, backendRef: {name: auth-gone, port: 9}}}]
    backendRefs: [{name: infra-backend-v1, port: 8080}]
  - matches: [{path: {value: /invalid}}]
    filters: [{type: ExternalAuth, externalAuth: {protocol: HTTP, http: {}, backendRef: {name: nowhere, port: 9}}}]
    backendRefs: [{name: infra-backend-v1, port: 8080}]
  - matches: [{path: {value: /open}}]
    backendRefs: [{name: infra-backend-v1, port: 8080}]
`, overHTTP.(*net.TCPAddr).Port, overGRPC.(*net.TCPAddr).Port)
}

// TestExternalAuth has the filter ExternalAuth, for which the suite has no tests, with servers of both protocols.
func TestExternalAuth(t *testing.T) {
	h := httptest.NewServer(http.HandlerFunc(overHTTP))
	defer h.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	authv3.RegisterAuthorizationServer(g, authorizer{})
	go g.Serve(ln)
	defer g.Stop()
	c, s := setUp(t)
	b := &bench{t: t, c: c, s: s}
	b.apply(gatewayOf("") + serviceAt("auth-http", h.Listener.Addr()) + serviceAt("auth-grpc", ln.Addr()) +
		serviceAt("auth-gone", &net.TCPAddr{Port: 9}) + routeOf("auth", "", authRules(h.Listener.Addr(), ln.Addr())))
	b.await()
	b.request("infra-backend-v1", "h", "/open")

	const good = "Bearer good"
	b.asked("/http/a?b=c", "", "body").want(302, "Location: https://login.example/", "")
	b.asked("/http/a?b=c", good, "body").want(200, "", `/backend/a?b=c`, `"X-Seen":["POST h /check/http/a?b=c body"]`, `Bearer good`).lacks("X-Hidden")
	b.asked("/http/a", good, strings.Repeat("x", 11)).want(413, "", "larger")
	b.asked("/grpc/a", "", "body").want(401, "Www-Authenticate: Bearer", "who are you?")
	b.asked("/grpc/a", good, "body").want(200, "X-Answer: 1", `/grpc/a?user=alice`, `"X-Seen":["POST h /grpc/a body"]`).lacks("Bearer good")
	b.asked("/grpc/a", good, strings.Repeat("x", 11)).want(413, "", "larger")
	b.asked("/gone", good, "").want(503, "Retry-After: 5", "cannot be found out")
	b.asked("/invalid", good, "").want(500, "", "")
}

// told is what a client was told.
type told struct {
	t    testing.TB
	resp *http.Response
	body string
}

// asked makes a request with a body; redirects are not followed.
func (b *bench) asked(target, authorization, body string) *told {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), rig.Patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "POST", "http://"+b.address+target, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Host = "h"
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: time.Minute}).RoundTrip(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	var seen any
	if json.Unmarshal(text, &seen) == nil {
		text, _ = json.Marshal(seen) // without the spaces
	}
	return &told{b.t, resp, strings.ReplaceAll(string(text), `\u0026`, "&")}
}

// want checks the status, a field "Name: value" unless it is empty, and that the body has the parts.
func (a *told) want(status int, field string, parts ...string) *told {
	a.t.Helper()
	name, value, _ := strings.Cut(field, ": ")
	if a.resp.StatusCode != status || name != "" && a.resp.Header.Get(name) != value {
		a.t.Errorf("%d %v, want %d %s\n%s", a.resp.StatusCode, a.resp.Header, status, field, a.body)
	}
	for _, p := range parts {
		if !strings.Contains(a.body, p) {
			a.t.Errorf("%s is not in\n%s", p, a.body)
		}
	}
	return a
}

func (a *told) lacks(part string) {
	a.t.Helper()
	if strings.Contains(a.body, part) {
		a.t.Errorf("%s is in\n%s", part, a.body)
	}
}
