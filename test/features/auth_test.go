package features

import (
	"context"
	"crypto/tls"
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
	"google.golang.org/grpc/credentials"
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

// httpRule asks a server of HTTP about requests below a path, which the backend sees below /backend.
func httpRule(path, server string, address net.Addr) string {
	return fmt.Sprintf(`
  - matches: [{path: {value: %s}}]
    filters:
    - {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /backend}}}
    - type: ExternalAuth
      externalAuth:
        protocol: HTTP
        backendRef: {name: %s, port: %d}
        http: {path: /check, allowedResponseHeaders: [X-Seen]}
        forwardBody: {maxSize: 10}
    backendRefs: [{name: infra-backend-v1, port: 8080}]`, path, server, address.(*net.TCPAddr).Port)
}

// grpcRule asks a server of gRPC.
func grpcRule(path, server string, address net.Addr) string {
	return fmt.Sprintf(`
  - matches: [{path: {value: %s}}]
    filters:
    - type: ExternalAuth
      externalAuth: {protocol: GRPC, grpc: {}, backendRef: {name: %s, port: %d}, forwardBody: {maxSize: 10}}
    backendRefs: [{name: infra-backend-v1, port: 8080}]`, path, server, address.(*net.TCPAddr).Port)
}

const otherRules = `
  - matches: [{path: {value: /gone}}]
    filters: [{type: ExternalAuth, externalAuth: {protocol: HTTP, http: {}, backendRef: {name: auth-gone, port: 9}}}]
    backendRefs: [{name: infra-backend-v1, port: 8080}]
  - matches: [{path: {value: /invalid}}]
    filters: [{type: ExternalAuth, externalAuth: {protocol: HTTP, http: {}, backendRef: {name: nowhere, port: 9}}}]
    backendRefs: [{name: infra-backend-v1, port: 8080}]
  - matches: [{path: {value: /open}}]
    backendRefs: [{name: infra-backend-v1, port: 8080}]
`

// trusting makes servers behind two Services be reached by TLS.
func trusting(ca []byte, services ...string) string {
	out := "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: auth-ca, namespace: gateway-conformance-infra}\ndata:\n  ca.crt: |\n    " +
		strings.ReplaceAll(strings.TrimSpace(string(ca)), "\n", "\n    ") + "\n"
	for _, s := range services {
		out += fmt.Sprintf(`
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: %s, namespace: gateway-conformance-infra}
spec:
  targetRefs: [{group: "", kind: Service, name: %s}]
  validation: {hostname: authz.example, caCertificateRefs: [{group: "", kind: ConfigMap, name: auth-ca}]}
`, s, s)
	}
	return out
}

// authorizers starts a server of each protocol; c is nil for plain text.
func authorizers(t *testing.T, c *tls.Config) (overHTTPAt, overGRPCAt net.Addr) {
	h := httptest.NewUnstartedServer(http.HandlerFunc(overHTTP))
	var o []grpc.ServerOption
	if c != nil {
		h.TLS, o = c.Clone(), append(o, grpc.Creds(credentials.NewTLS(c.Clone())))
		h.StartTLS()
	} else {
		h.Start()
	}
	t.Cleanup(h.Close)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(o...)
	authv3.RegisterAuthorizationServer(g, authorizer{})
	go g.Serve(ln)
	t.Cleanup(g.Stop)
	return h.Listener.Addr(), ln.Addr()
}

// TestExternalAuth has the filter ExternalAuth, for which the suite has no tests, with servers of both protocols, in plain text and
// by TLS.
func TestExternalAuth(t *testing.T) {
	authority := rig.NewAuthority(t)
	plainHTTP, plainGRPC := authorizers(t, nil)
	tlsHTTP, tlsGRPC := authorizers(t, authority.Server("authz.example"))
	c, s := setUp(t)
	b := &bench{t: t, c: c, s: s}
	b.apply(gatewayOf("") + serviceAt("auth-http", plainHTTP) + serviceAt("auth-grpc", plainGRPC) + serviceAt("auth-gone", &net.TCPAddr{Port: 9}) +
		serviceAt("auth-tls-http", tlsHTTP) + serviceAt("auth-tls-grpc", tlsGRPC) + trusting(authority.PEM, "auth-tls-http", "auth-tls-grpc") +
		routeOf("auth", "", httpRule("/http", "auth-http", plainHTTP)+grpcRule("/grpc", "auth-grpc", plainGRPC)+
			httpRule("/tls/http", "auth-tls-http", tlsHTTP)+grpcRule("/tls/grpc", "auth-tls-grpc", tlsGRPC)+otherRules))
	b.await()
	b.request("infra-backend-v1", "h", "/open")

	const good = "Bearer good"
	for _, prefix := range []string{"", "/tls"} {
		path := prefix + "/http/a"
		b.asked(path+"?b=c", "", "body").want(302, "Location: https://login.example/", "")
		b.asked(path+"?b=c", good, "body").want(200, "", `/backend/a?b=c`, `"X-Seen":["POST h /check`+path+`?b=c body"]`, `Bearer good`).lacks("X-Hidden")
		b.asked(path, good, strings.Repeat("x", 11)).want(413, "", "larger")
		path = prefix + "/grpc/a"
		b.asked(path, "", "body").want(401, "Www-Authenticate: Bearer", "who are you?")
		b.asked(path, good, "body").want(200, "X-Answer: 1", path+`?user=alice`, `"X-Seen":["POST h `+path+` body"]`).lacks("Bearer good")
		b.asked(path, good, strings.Repeat("x", 11)).want(413, "", "larger")
	}
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
