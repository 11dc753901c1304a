package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/test/rig"
)

// The keys of two callers.
const (
	aliceKey = "nk-alice-4f1c0b7a93d2e856"
	bobKey   = "nk-bob-1a2b3c4d5e6f708192"
)

// twoCallers is a world where alice may use some models, and bob all.
func twoCallers(more ...string) files {
	return func(w *world) rig.Files {
		return rig.Files{
			"gateway.yaml": rig.Entrance(w.port) + rig.AuthPolicy("callers", "Gateway, name: ai", rig.KeysOf),
			"models.yaml": w.providers("models: [{name: sim-large}]", "defaultModel: sim-large") + rig.Models(
				rig.Model("sim-openai", "openai"), rig.Model("sim-anthropic", "anthropic"), rig.Model("large", "openai"), rig.Model("large-*", "openai")),
			"keys.yaml": rig.CallerKey("alice", aliceKey, `gateway.nantian.dev/models: "sim-*"`) + rig.CallerKey("bob", bobKey),
			"more.yaml": strings.Join(more, "\n"),
		}
	}
}

// holders are how the vendors' clients send a key.
func holders(key string) [][2]string {
	return [][2]string{{"Authorization", "Bearer " + key}, {"X-Api-Key", key}, {"Api-Key", key}, {"X-Goog-Api-Key", key}}
}

// TestAPIKeys: callers with a key use what they may, in every client's way of sending it; others learn nothing.
func TestAPIKeys(t *testing.T) {
	t.Parallel()
	w := start(t, twoCallers(), "--verbose")
	for _, d := range dialects {
		for _, h := range holders(aliceKey) {
			w.chat(ask{dialect: d, model: "sim-" + d.name, text: "Hi"}, h[0], h[1]).says(t, "Hi")
		}
		w.chat(ask{dialect: d, model: "large", text: "Hi"}, "X-Api-Key", bobKey).says(t, "Hi")
		missing := w.chat(ask{dialect: d, model: "sim-openai", text: "Hi"})
		missing.want(t, 401, `"authentication_error"`, "no API key or token was shown")
		if got := missing.head.Get("Www-Authenticate"); got != `Bearer realm="nantian"` {
			t.Errorf("WWW-Authenticate: %s", got)
		}
		wrong := w.chat(ask{dialect: d, model: "sim-openai", text: "Hi"}, "Authorization", "Bearer nk-nobody-00000000000000")
		wrong.want(t, 401, `"authentication_error"`, "not valid here")
		wrong.lacks(t, "sim-openai", "nk-nobody")
	}
	for _, r := range w.sim.Requests() {
		if all := fmt.Sprint(r.Path, r.Header); strings.Contains(all, aliceKey) || strings.Contains(all, bobKey) {
			t.Errorf("the provider got %s", all)
		}
	}
	w.Logged(`"api_key":"default/alice"`, `"requested_model":"sim-openai"`)
	w.Logged(`"api_key":"default/bob"`)
	w.Logged(`"status":401`, `"note":"AuthPolicy default/callers: missing"`)
	for name, text := range map[string]string{
		"the access log": w.Access.String(), "a message": w.Messages.String(), "/config_dump": w.Page("/config_dump"), "/metrics": w.Page("/metrics"),
	} {
		for _, secret := range []string{aliceKey, bobKey, "keySha256", "key_sha256"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %q", name, secret)
			}
		}
	}
	w.Counted(2, "nantian_auth_requests_total", `policy="default/callers"`, `result="missing"`)
	w.Counted(2, "nantian_auth_requests_total", `policy="default/callers"`, `result="invalid"`)
	w.Counted(2, "nantian_auth_api_keys")
}

// TestModelsOfACaller: a model that a caller may not use is as one that is not there, whatever is asked of it.
func TestModelsOfACaller(t *testing.T) {
	t.Parallel()
	w := start(t, twoCallers())
	alice, bob := []string{"X-Api-Key", aliceKey}, []string{"X-Api-Key", bobKey}
	list := w.get("/v1/models", alice...)
	list.want(t, 200, "sim-openai", "sim-anthropic")
	list.lacks(t, "large")
	w.get("/v1/models", bob...).want(t, 200, "sim-openai", `"large"`)
	w.get("/v1/models", append(alice, "Anthropic-Version", "2023-06-01")...).lacks(t, "large")
	w.get("/v1/models").want(t, 401)
	w.get("/v1/models/large", bob...).want(t, 200)

	same := func(name string, denied, unknown reply) {
		t.Helper()
		denied.want(t, 404)
		if got := strings.ReplaceAll(denied.body, "large", "absent"); got != unknown.body {
			t.Errorf("%s: %s\nand of one that is not there: %s", name, denied.body, unknown.body)
		}
	}
	same("get", w.get("/v1/models/large", alice...), w.get("/v1/models/absent", alice...))
	same("pattern", w.get("/v1/models/large-1", alice...), w.get("/v1/models/absent-1", alice...))
	for path, body := range map[string]string{
		"/v1/chat/completions":      `{"model": "%s", "messages": [{"role": "user", "content": "Hi"}]}`,
		"/v1/completions":           `{"model": "%s", "prompt": "Hi"}`,
		"/v1/embeddings":            `{"model": "%s", "input": "Hi"}`,
		"/v1/messages":              `{"model": "%s", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "Hi"}]}`,
		"/v1/messages/count_tokens": `{"model": "%s", "messages": [{"role": "user", "content": "Hi"}]}`,
	} {
		asked := func(model string, head []string) reply { return w.post(path, fmt.Appendf(nil, body, model), head...) }
		same(path, asked("large", alice), asked("absent", alice))
		same(path, asked("large-2", alice), asked("absent-2", alice))
		same(path, asked(`l\u0061rge`, alice), asked("absent", alice))
		asked("large", bob).want(t, 200)
	}
	same("deployment", w.post("/openai/deployments/large/chat/completions", []byte(`{"messages": []}`), alice...),
		w.post("/openai/deployments/absent/chat/completions", []byte(`{"messages": []}`), alice...))
}

// TestRevokedKey: a key that is taken out of the folder is refused, one that is added is taken, and streams are not cut.
func TestRevokedKey(t *testing.T) {
	t.Parallel()
	w := start(t, twoCallers())
	hello := ask{dialect: dialects[0], model: "sim-openai", text: "Hi"}
	w.chat(hello, "X-Api-Key", aliceKey).want(t, 200)
	edited := time.Now()
	w.Put("keys.yaml", rig.CallerKey("bob", bobKey))
	rig.Eventually(t, rig.Patience, "the key is refused", func() bool { return w.chat(hello, "X-Api-Key", aliceKey).status == 401 })
	t.Logf("refused after %v", time.Since(edited).Round(time.Millisecond))
	w.chat(hello, "X-Api-Key", bobKey).want(t, 200)
	edited = time.Now()
	w.Put("keys.yaml", rig.CallerKey("bob", aliceKey))
	rig.Eventually(t, rig.Patience, "the new key is taken", func() bool { return w.chat(hello, "X-Api-Key", aliceKey).status == 200 })
	t.Logf("taken after %v", time.Since(edited).Round(time.Millisecond))
	w.chat(hello, "X-Api-Key", bobKey).want(t, 401)
}

// TestTokensOfAnIssuer: tokens of an issuer whose keys are fetched, before and after it has another key.
func TestTokensOfAnIssuer(t *testing.T) {
	t.Parallel()
	idp := rig.NewIssuer(t)
	w := start(t, func(w *world) rig.Files {
		policy := rig.AuthPolicy("people", "Gateway, name: ai", fmt.Sprintf("jwt: [{issuer: https://idp.example.com, audiences: [ai], modelsClaim: models, "+
			"jwks: {url: %q, caCertificateRefs: [{group: \"\", kind: ConfigMap, name: idp}]}}]", idp.URL))
		return rig.Files{"gateway.yaml": rig.Entrance(w.port) + policy + idp.CA, "models.yaml": w.providers() + rig.Models(rig.Model("sim-openai", "openai"), rig.Model("large", "openai"))}
	})
	may := map[string]any{"models": []string{"sim-*"}}
	call := func(model, token string) reply {
		return w.chat(ask{dialect: dialects[0], model: model, text: "Hi"}, "Authorization", "Bearer "+token)
	}
	first := idp.Token(may)
	call("sim-openai", first).says(t, "Hi")
	call("large", first).want(t, 404)
	w.Logged(`"issuer":"https://idp.example.com"`, `"subject":"alice"`)
	call("sim-openai", idp.Token(map[string]any{"models": "sim-*", "aud": "another"})).want(t, 403, `"permission_error"`)
	call("sim-openai", idp.Token(nil)).want(t, 403)
	call("sim-openai", idp.Token(map[string]any{"models": "sim-*", "exp": 1})).want(t, 401, "expired")
	call("sim-openai", rig.NewIssuer(t).Token(may)).want(t, 401)

	idp.Rotate()
	second := idp.Token(may)
	call("sim-openai", first).want(t, 200) // its key is believed until the issuer is asked again
	rig.Eventually(t, rig.Patience, "the new key is known", func() bool { return call("sim-openai", second).status == 200 })
	call("sim-openai", first).want(t, 401)
	if n := idp.Fetched(); n > 3 {
		t.Errorf("the keys were asked for %d times", n)
	}
	for _, r := range w.sim.Requests() {
		if strings.Contains(fmt.Sprint(r.Header), strings.Split(first, ".")[1]) {
			t.Error("a token reached the provider")
		}
	}
	if strings.Contains(w.Access.String()+w.Messages.String(), strings.Split(first, ".")[2]) {
		t.Error("a token is in a log")
	}
}

// TestIssuerAway: without the keys of an issuer nobody can be verified, and that is said as what it is.
func TestIssuerAway(t *testing.T) {
	t.Parallel()
	w := start(t, func(w *world) rig.Files {
		f := twoCallers()(w)
		f["gateway.yaml"] = rig.Entrance(w.port) + rig.AuthPolicy("callers", "Gateway, name: ai", rig.KeysOf,
			fmt.Sprintf("jwt: [{issuer: https://idp.example.com, jwks: {url: %q}}]", fmt.Sprintf("https://127.0.0.1:%d/keys?of=us", rig.Port(t))))
		return f
	})
	hello := ask{dialect: dialects[1], model: "sim-openai", text: "Hi"}
	r := w.chat(hello, "Authorization", "Bearer "+rig.NewIssuer(t).Token(nil))
	r.want(t, 503, `"type":"error"`)
	if r.head.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	w.chat(hello, "X-Api-Key", aliceKey).want(t, 200)
	w.Messages.Line(0, rig.Patience, "the keys of an issuer cannot be fetched", "default/callers")
	if strings.Contains(w.Messages.String(), "of=us") {
		t.Error("the query of the url is in a message")
	}
}

// recorder is a service that remembers what it was sent.
type recorder struct {
	*httptest.Server
	mu   sync.Mutex
	seen []http.Header
}

func newRecorder(t *testing.T) *recorder {
	r := &recorder{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.seen = append(r.seen, q.Header.Clone())
		io.WriteString(w, "served\n")
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) last() http.Header {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[len(r.seen)-1]
}

// service is a Service "shop", and a route "shop" to it with a rule of CORS and one for administrators.
func (r *recorder) service() string {
	u, _ := url.Parse(r.URL)
	return fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: default}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: shop, namespace: default, labels: {kubernetes.io/service-name: shop}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.1]}]
ports: [{name: http, port: %s}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, namespace: default}
spec:
  parentRefs: [{name: ai}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /shop}}]
    filters: [{type: CORS, cors: {allowOrigins: ["https://shop.example.com"], allowMethods: [GET], allowHeaders: [authorization]}}]
    backendRefs: [{name: shop, port: 80}]
  - name: admin
    matches: [{path: {type: PathPrefix, value: /admin}}]
    backendRefs: [{name: shop, port: 80}]
`, u.Port())
}

// adminPolicy is an AuthPolicy for the rule "admin" whose Secrets have another label.
func adminPolicy(secrets string) string {
	return rig.AuthPolicy("admins", "HTTPRoute, name: shop, sectionName: admin", "apiKeys: {secretSelector: {matchLabels: {admin: \"true\"}}}") + secrets
}

// TestServicesWithKeys: what a client of a Service meets, and what the Service gets.
func TestServicesWithKeys(t *testing.T) {
	t.Parallel()
	shop := newRecorder(t)
	w := start(t, twoCallers(shop.service()))
	w.get("/shop").want(t, 401, "no API key or token was shown")
	r := w.get("/shop", "Authorization", "Bearer "+aliceKey, "Cookie", "a=b")
	r.want(t, 200, "served")
	if h := shop.last(); h.Get("Authorization") != "" || h.Get("Cookie") != "a=b" {
		t.Errorf("the service got %v", h)
	}
	w.get("/shop", "X-Api-Key", aliceKey, "Authorization", "Basic YTpi").want(t, 200)
	if h := shop.last(); h.Get("Authorization") != "Basic YTpi" || h.Get("X-Api-Key") != "" {
		t.Errorf("the service got %v", h)
	}

	origin := []string{"Origin", "https://shop.example.com"}
	preflight, err := http.NewRequest("OPTIONS", w.url+"/shop", nil)
	if err != nil {
		t.Fatal(err)
	}
	preflight.Header.Set(origin[0], origin[1])
	preflight.Header.Set("Access-Control-Request-Method", "GET")
	answer, err := w.http.Do(preflight)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 204 || answer.Header.Get("Access-Control-Allow-Origin") != origin[1] {
		t.Errorf("preflight: %d %v", answer.StatusCode, answer.Header)
	}
	refused := w.get("/shop", origin...)
	refused.want(t, 401)
	if refused.head.Get("Access-Control-Allow-Origin") != origin[1] {
		t.Error("the browser may not read why it was refused")
	}
	preflight.URL.Path = "/admin"
	answer, err = w.http.Do(preflight)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 401 {
		t.Errorf("preflight without a CORS filter: %d", answer.StatusCode)
	}
}

// TestPoliciesTogether: a narrower policy is asked as well, or in place of one that is overridable; what cannot be run is 503.
func TestPoliciesTogether(t *testing.T) {
	t.Parallel()
	shop := newRecorder(t)
	admin := strings.ReplaceAll(rig.CallerKey("root", "nk-root-99887766554433221100"), `{api-key: "true"}`, `{admin: "true"}`)
	both := strings.ReplaceAll(rig.CallerKey("both", "nk-both-00112233445566778899"), `{api-key: "true"}`, `{admin: "true", api-key: "true"}`)
	w := start(t, twoCallers(shop.service(), adminPolicy(admin), both))
	key := func(k string) []string { return []string{"X-Api-Key", k} }
	w.get("/admin", key(aliceKey)...).want(t, 403, "valid, but not for this")
	w.get("/admin", key("nk-root-99887766554433221100")...).want(t, 403)
	w.get("/admin", key("nk-both-00112233445566778899")...).want(t, 200)
	w.Logged(`"api_key":"default/alice"`, `"status":403`)

	w.Put("gateway.yaml", rig.Entrance(w.port)+rig.AuthPolicy("callers", "Gateway, name: ai", rig.KeysOf, "overridable: true"))
	rig.Eventually(t, rig.Patience, "the admins' policy holds in place of the Gateway's", func() bool {
		return w.get("/admin", key("nk-root-99887766554433221100")...).status == 200
	})
	w.get("/admin", key(aliceKey)...).want(t, 401)
	w.get("/shop", key(aliceKey)...).want(t, 200)
	w.get("/shop", key("nk-root-99887766554433221100")...).want(t, 401)

	w.Put("broken.yaml", rig.AuthPolicy("broken", "HTTPRoute, name: shop", "jwt: [{issuer: x, jwks: {configMapRef: {name: gone}}}]"))
	rig.Eventually(t, rig.Patience, "a policy that was never valid closes its target", func() bool { return w.get("/shop", key(aliceKey)...).status == 503 })
	w.chat(ask{dialect: dialects[0], model: "sim-openai", text: "Hi"}, key(aliceKey)...).want(t, 200)
}

// TestLastValidPolicy: a policy that becomes invalid goes on as it was, its keys included, and those are still revoked.
func TestLastValidPolicy(t *testing.T) {
	t.Parallel()
	w := start(t, twoCallers())
	hello := ask{dialect: dialects[0], model: "sim-openai", text: "Hi"}
	w.Put("gateway.yaml", rig.Entrance(w.port)+rig.AuthPolicy("callers", "Gateway, name: ai", rig.KeysOf, "jwt: [{issuer: x, jwks: {inline: nothing}}]"))
	w.Messages.Line(0, rig.Patience, "AuthPolicy default/callers", "spec.jwt[0].jwks")
	w.chat(hello, "X-Api-Key", aliceKey).want(t, 200)
	w.chat(hello).want(t, 401)
	w.Put("keys.yaml", rig.CallerKey("bob", bobKey))
	rig.Eventually(t, rig.Patience, "the key is refused", func() bool { return w.chat(hello, "X-Api-Key", aliceKey).status == 401 })
	w.chat(hello, "X-Api-Key", bobKey).want(t, 200)
}

// TestUnreadablePolicy: a slip of the pen in a policy opens nothing, at the start or later.
func TestUnreadablePolicy(t *testing.T) {
	t.Parallel()
	hello := ask{dialect: dialects[0], model: "sim-openai", text: "Hi"}
	slip := rig.AuthPolicy("callers", "Gateway, name: ai", "apiKey: {secretSelector: {matchLabels: {api-key: \"true\"}}}")
	w := start(t, func(w *world) rig.Files {
		f := twoCallers()(w)
		f["gateway.yaml"] = rig.Entrance(w.port) + slip
		return f
	})
	w.chat(hello).want(t, 503)
	w.chat(hello, "X-Api-Key", aliceKey).want(t, 503)
	w.Put("gateway.yaml", rig.Entrance(w.port)+rig.AuthPolicy("callers", "Gateway, name: ai", rig.KeysOf))
	rig.Eventually(t, rig.Patience, "the policy is mended", func() bool { return w.chat(hello, "X-Api-Key", aliceKey).status == 200 })
	said := len(w.Messages.String())
	w.Put("gateway.yaml", rig.Entrance(w.port)+slip)
	w.Messages.Line(said, rig.Patience, "AuthPolicy default/callers", "apiKey")
	w.chat(hello).want(t, 401)
	w.chat(hello, "X-Api-Key", aliceKey).want(t, 200)
}

// TestGRPCStatus: clients of gRPC get a status of gRPC.
func TestGRPCStatus(t *testing.T) {
	t.Parallel()
	shop := newRecorder(t)
	w := start(t, twoCallers(shop.service(), `---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: grpc, namespace: default}
spec:
  parentRefs: [{name: ai}]
  rules:
  - matches: [{method: {service: a.B}}]
    backendRefs: [{name: shop, port: 80}]
`))
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	h2 := &http.Client{Transport: &http.Transport{Protocols: &protocols}}
	for key, want := range map[string]string{"": "16", "nk-nobody-00000000000000": "16"} {
		r, err := http.NewRequestWithContext(context.Background(), "POST", w.url+"/a.B/C", bytes.NewReader(make([]byte, 5)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/grpc")
		r.Header.Set("Te", "trailers")
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		resp, err := h2.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		// The head is all of the answer (gRPC over HTTP/2, Trailers-Only).
		if resp.StatusCode != 200 || resp.Header.Get("Grpc-Status") != want || resp.Header.Get("Grpc-Message") == "" {
			t.Errorf("%q: %d, trailer %v, head %v", key, resp.StatusCode, resp.Trailer, resp.Header)
		}
	}
}
