package auth

import (
	"fmt"
	"strings"
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

const alice, bob = "alices-key-0123456789", "bobs-key-0123456789"

// TestAPIKeys takes keys where the vendors' clients put them, and takes them out of the request.
func TestAPIKeys(t *testing.T) {
	b := newBench(t, keyPolicy("p", ""))
	b.caller("alice", alice, []string{"gpt-*"}, "p")
	b.caller("bob", bob, nil, "other")
	for _, field := range []string{"Authorization: Bearer ", "authorization: bearer ", "X-Api-Key: ", "api-key: ", "x-goog-api-key: ", "X-Api-Key: Bearer "} {
		x := b.want(200, field+alice, "X-Other: "+alice)
		if x.Identity.APIKey != "a/alice" || x.Identity.Metadata["of"] != "alice" || x.Identity.MayUse("o1") || !x.Identity.MayUse("gpt-5") {
			t.Errorf("%s: %+v", field, x.Identity)
		}
		name, _, _ := strings.Cut(field, ":")
		if v := x.Req.Peek(name); v != nil || string(x.Req.Peek("X-Other")) != alice {
			t.Errorf("%s: forwarded %q", field, x.Req.Header())
		}
	}
	b.want(200, "Authorization: Basic YTpi", "X-Api-Key: "+alice)
	b.want(200, "Authorization: Bearer else", "X-Api-Key: "+alice)
	for _, fields := range [][]string{
		{}, {"Authorization: " + alice}, {"Authorization: Basic " + alice}, {"Authorization: Bearer"}, {"X-Api-Key: "}, {"X-Api-Key: " + bob},
		{"X-Api-Key: " + alice + "x"}, {"X-Api-Key: " + alice[:20]}, {"X-Api-Key: " + alice, "X-Api-Key: " + bob}, {"X-Api-Key: " + alice, "X-Api-Key: " + alice},
		{"Cookie: key=" + alice}, {"X-Api-Key: " + strings.Repeat("x", maxCredential+1)},
	} {
		b.want(401, fields...)
	}
}

// TestStrip leaves no copy of the key under any name that the policy reads, and nothing else out.
func TestStrip(t *testing.T) {
	b := newBench(t, keyPolicy("p", ""))
	b.caller("alice", alice, nil, "p")
	x := b.want(200, "Authorization: Bearer "+alice, "X-Api-Key: "+alice, "Api-Key: of-somebody-else", "Cookie: a=b")
	if h := string(x.Req.Header()); strings.Contains(h, alice) || !strings.Contains(h, "of-somebody-else") || !strings.Contains(h, "a=b") {
		t.Errorf("forwarded %q", h)
	}
}

func TestConfiguredHeader(t *testing.T) {
	b := newBench(t, keyPolicy("p", "X-Gateway-Key"))
	b.caller("alice", alice, nil, "p")
	x := b.want(200, "X-Gateway-Key: "+alice, "Authorization: Bearer mine")
	if x.Req.Peek("X-Gateway-Key") != nil || string(x.Req.Peek("Authorization")) != "Bearer mine" {
		t.Errorf("forwarded %q", x.Req.Header())
	}
	x = b.want(401, "Authorization: Bearer "+alice)
	if got := string(x.Resp.Peek("Www-Authenticate")); got != `ApiKey realm="nantian"` {
		t.Error(got)
	}
}

// TestRevoke adds and takes away keys of a filter that stays as it is.
func TestRevoke(t *testing.T) {
	b := newBench(t, keyPolicy("p", ""))
	b.want(401, "X-Api-Key: "+alice)
	b.caller("alice", alice, nil, "p")
	b.want(200, "X-Api-Key: "+alice)
	b.caller("alice", bob, nil, "p")
	b.want(401, "X-Api-Key: "+alice)
	b.want(200, "X-Api-Key: "+bob)
	b.revoke("alice")
	b.want(401, "X-Api-Key: "+bob)
}

// TestConjunction wants all policies of a rule satisfied.
func TestConjunction(t *testing.T) {
	b := newBench(t, keyPolicy("wide", ""), keyPolicy("narrow", ""))
	b.caller("alice", alice, []string{"gpt-*"}, "wide", "narrow")
	b.caller("bob", bob, nil, "wide")
	if x := b.want(200, "X-Api-Key: "+alice); x.Req.Peek("X-Api-Key") != nil {
		t.Error("the key was forwarded")
	}
	if x := b.want(403, "X-Api-Key: "+bob); x.Identity.APIKey != "a/bob" {
		t.Errorf("%+v", x.Identity)
	}
	b.want(401, "X-Api-Key: nobodys-key-0123456789")
}

// TestKeyAndToken asks for a key and a token: who calls is both, and what may be used is what both allow.
func TestKeyAndToken(t *testing.T) {
	b := newBench(t, keyPolicy("key", "X-Key"), jwtPolicy(t, "token", func(j *xdsv1.JWT) { j.ModelsClaim = "models" }))
	b.caller("alice", alice, []string{"gpt-*"}, "key")
	token := sign(t, "ES256", ecKey(), "ec", claims(map[string]any{"models": []string{"gpt-4", "o1"}}))
	x := b.want(200, "X-Key: "+alice, "Authorization: Bearer "+token)
	i := x.Identity
	if i.APIKey != "a/alice" || i.Subject != "alice" || i.Issuer != "idp" || i.Metadata["of"] != "alice" || i.Claims["sub"] != "alice" {
		t.Errorf("%+v", i)
	}
	for model, may := range map[string]bool{"gpt-4": true, "gpt-5": false, "o1": false} {
		if i.MayUse(model) != may {
			t.Errorf("%s: %v", model, !may)
		}
	}
	b.want(401, "X-Key: "+alice)
	b.want(401, "Authorization: Bearer "+token)
}

// TestInvalid answers 503 for a policy that cannot be run, of whatever kind.
func TestInvalid(t *testing.T) {
	for _, kind := range []string{xdsv1.PolicyAuth, xdsv1.PolicyToken, xdsv1.PolicyGuard} {
		b := newBench(t, keyPolicy("p", ""), &xdsv1.Policy{Key: xdsv1.PolicyKey(kind, "a", "bad"), Namespace: "a", Name: "bad", Kind: &xdsv1.Policy_Invalid{Invalid: "x"}})
		b.caller("alice", alice, nil, "p")
		x := b.ask("X-Api-Key: " + alice)
		if x.Resp.StatusCode() != 503 || x.Note != "policy a/bad is not valid" {
			t.Errorf("%s: %d %q", kind, x.Resp.StatusCode(), x.Note)
		}
	}
	b := newBench(t, &xdsv1.Policy{Key: "policy/token/a/p", Kind: &xdsv1.Policy_TokenLimit{TokenLimit: &xdsv1.TokenLimit{}}})
	if len(b.chain.Request) != 0 {
		t.Error("a TokenPolicy makes a filter")
	}
}

// TestRefusals compares what clients are told, in the form that they understand.
func TestRefusals(t *testing.T) {
	b := newBench(t, keyPolicy("wide", ""), keyPolicy("narrow", ""))
	b.caller("bob", bob, nil, "wide")
	f := func(method, path, status, body string, fields ...string) *exchange.Exchange {
		t.Helper()
		x := request(method, path, fields...)
		t.Cleanup(func() { exchange.Release(x) })
		b.chain.Request[0].OnRequest(x)
		if got := fmt.Sprint(x.Resp.StatusCode(), " ", string(x.Resp.ContentType())); got != status {
			t.Errorf("%s %s: %s, want %s", method, path, got, status)
		}
		if got := string(x.RespBody.Bytes); got != body {
			t.Errorf("%s %s: %s, want %s", method, path, got, body)
		}
		return x
	}
	missing := `no API key or token was shown: send one as \"Authorization: Bearer ...\" or as your client library does`
	f("POST", "/v1/chat/completions", "401 application/json", `{"error":{"message":"`+missing+`","type":"authentication_error","param":null,"code":"missing_api_key"}}`)
	f("POST", "/v1/messages", "401 application/json", `{"type":"error","error":{"type":"authentication_error","message":"the API key or token is not valid here"}}`, "X-Api-Key: x")
	f("GET", "/v1/models", "403 application/json", `{"type":"error","error":{"type":"permission_error","message":"the API key or token is valid, but not for this"}}`,
		"X-Api-Key: "+bob, "Anthropic-Version: 2023-06-01")
	x := f("GET", "/cart", "401 text/plain; charset=utf-8", strings.ReplaceAll(missing, `\"`, `"`)+"\n")
	if got := string(x.Resp.Peek("Www-Authenticate")); got != `Bearer realm="nantian"` {
		t.Error(got)
	}
	x = f("GET", "/cart", "401 text/plain; charset=utf-8", "the API key or token is not valid here\n", "Api-Key: x")
	if got := string(x.Resp.Peek("Www-Authenticate")); got != `Bearer realm="nantian", error="invalid_token"` {
		t.Error(got)
	}
	for key, want := range map[string]string{"x": "16", bob: "7"} {
		x = f("POST", "/a.B/C", "200 application/grpc", "", "Content-Type: application/grpc+proto", "Api-Key: "+key)
		if got := string(x.GRPCStatus()); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	// To browsers' clients the status is in the body.
	f("POST", "/a.B/C", "200 application/grpc-web+proto", "\x80\x00\x00\x00\x45grpc-status:16\r\ngrpc-message:the API key or token is not valid here\r\n",
		"Content-Type: application/grpc-web+proto", "Api-Key: x")
}

// TestManyCallers finds one of 10,000 keys without allocating.
func TestManyCallers(t *testing.T) {
	b := newBench(t, keyPolicy("p", ""))
	for i := range 9999 {
		name := fmt.Sprintf("caller-%d", i)
		b.rs[name] = callerOf(name, "key-of-"+name, "p")
	}
	b.caller("alice", alice, nil, "p")
	x := request("POST", "/v1/chat/completions")
	defer exchange.Release(x)
	f := b.chain.Request[0]
	if n := testing.AllocsPerRun(100, func() {
		x.Req.Set("Authorization", "Bearer "+alice)
		f.OnRequest(x)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if x.Identity == nil || x.Identity.APIKey != "a/alice" {
		t.Error(x.Identity)
	}
}
