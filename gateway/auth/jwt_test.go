package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

func TestTokens(t *testing.T) {
	b := newBench(t, jwtPolicy(t, "p", nil))
	f := func(want int, alg jose.SignatureAlgorithm, key any, id string, other map[string]any) {
		t.Helper()
		b.want(want, "Authorization: Bearer "+sign(t, alg, key, id, claims(other)))
	}
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512} {
		f(200, alg, rsaKey(), "rsa", nil)
	}
	f(200, jose.ES256, ecKey(), "ec", nil)
	f(200, jose.EdDSA, edKey(), "ed", nil)
	f(200, jose.ES256, ecKey(), "", nil)
	other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	f(401, jose.ES256, other, "ec", nil)
	f(401, jose.ES256, other, "", nil)
	f(401, jose.ES256, ecKey(), "else", nil)
	f(401, jose.ES256, ecKey(), "rsa", nil)
	f(401, jose.HS256, make([]byte, 32), "rsa", nil)

	at := func(d time.Duration) int64 { return now().Add(d).Unix() }
	f(200, jose.ES256, ecKey(), "ec", map[string]any{"exp": at(-59 * time.Second)})
	f(401, jose.ES256, ecKey(), "ec", map[string]any{"exp": at(-60 * time.Second)})
	f(401, jose.ES256, ecKey(), "ec", map[string]any{"exp": nil})
	f(401, jose.ES256, ecKey(), "ec", map[string]any{"exp": "tomorrow"})
	f(200, jose.ES256, ecKey(), "ec", map[string]any{"exp": 1e300})
	f(200, jose.ES256, ecKey(), "ec", map[string]any{"nbf": at(time.Minute)})
	f(401, jose.ES256, ecKey(), "ec", map[string]any{"nbf": at(61 * time.Second)})
	f(401, jose.ES256, ecKey(), "ec", map[string]any{"nbf": "x"})
	f(401, jose.ES256, ecKey(), "ec", map[string]any{"iat": at(61 * time.Second)})
	f(200, jose.ES256, ecKey(), "ec", map[string]any{"iat": nil})
	f(401, jose.ES256, ecKey(), "ec", map[string]any{"iss": "somebody"})
	f(401, jose.ES256, ecKey(), "ec", map[string]any{"iss": nil})
	f(401, jose.ES256, ecKey(), "ec", map[string]any{"iss": 1})
	f(200, jose.ES256, ecKey(), "ec", map[string]any{"aud": []string{"x", "ai"}})
	f(403, jose.ES256, ecKey(), "ec", map[string]any{"aud": "x"})
	f(403, jose.ES256, ecKey(), "ec", map[string]any{"aud": nil})
	f(403, jose.ES256, ecKey(), "ec", map[string]any{"aud": []any{1, nil}})
	f(200, jose.ES256, ecKey(), "ec", map[string]any{"sub": nil})
}

// TestAttacks are tokens that only a careless verifier takes (RFC 8725).
func TestAttacks(t *testing.T) {
	public := set(t, map[string]crypto.Signer{"rsa": rsaKey()})
	b := newBench(t, jwtPolicy(t, "p", func(j *xdsv1.JWT) { j.Jwks = &xdsv1.JWT_Inline{Inline: public} }))
	good := sign(t, jose.RS256, rsaKey(), "rsa", claims(nil))
	parts := strings.Split(good, ".")
	head := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	attacker, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	embedded := &jose.SignerOptions{EmbedJWK: true}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: attacker}, embedded)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := s.Sign([]byte(`{"iss":"idp","aud":"ai","exp":9999999999}`))
	if err != nil {
		t.Fatal(err)
	}
	own, _ := signed.CompactSerialize()
	for name, token := range map[string]string{
		"no signature":      parts[0] + "." + parts[1] + ".",
		"none":              head(`{"alg":"none"}`) + "." + parts[1] + ".",
		"None":              head(`{"alg":"None","kid":"rsa"}`) + "." + parts[1] + "." + parts[2],
		"public as secret":  sign(t, jose.HS256, public, "rsa", claims(nil)),
		"other payload":     parts[0] + "." + head(`{"iss":"idp","aud":"ai","exp":9999999999,"sub":"root"}`) + "." + parts[2],
		"other algorithm":   head(`{"alg":"ES256","kid":"rsa"}`) + "." + parts[1] + "." + parts[2],
		"critical":          head(`{"alg":"RS256","kid":"rsa","crit":["x"],"x":1}`) + "." + parts[1] + "." + parts[2],
		"embedded key":      own,
		"JSON":              `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"encrypted":         good + ".a.b",
		"empty":             "..",
		"long":              good + strings.Repeat("A", maxCredential),
		"not base64":        parts[0] + ".%." + parts[2],
		"white space":       parts[0] + ". " + parts[1] + "." + parts[2],
		"signature cut":     good[:len(good)-4],
		"signature of none": head(`{"alg":"none"}`) + "." + parts[1] + "." + parts[2],
	} {
		if x := b.ask("Authorization: Bearer " + token); x.Resp.StatusCode() != 401 || x.Identity != nil {
			t.Errorf("%s: %d %+v", name, x.Resp.StatusCode(), x.Identity)
		}
	}
	b.want(200, "Authorization: Bearer "+good)
}

func TestExpiredIsSaid(t *testing.T) {
	b := newBench(t, jwtPolicy(t, "p", nil))
	x := b.want(401, "Authorization: Bearer "+sign(t, jose.ES256, ecKey(), "ec", claims(map[string]any{"exp": 1})))
	if !strings.Contains(string(x.RespBody.Bytes), "the token has expired") || b.count.count("expired") != 1 {
		t.Errorf("%s", x.RespBody.Bytes)
	}
}

// TestTokenStays forwards the token: a Service may want to look at it.
func TestTokenStays(t *testing.T) {
	b := newBench(t, jwtPolicy(t, "p", func(j *xdsv1.JWT) { j.Header = "X-Token" }))
	token := sign(t, jose.ES256, ecKey(), "ec", claims(nil))
	b.want(401, "Authorization: Bearer "+token)
	if x := b.want(200, "X-Token: "+token); string(x.Req.Peek("X-Token")) != token {
		t.Errorf("%q", x.Req.Header())
	}
	b.want(200, "X-Token: Bearer "+token)
	b.want(401, "X-Token: "+token, "X-Token: "+token)
}

func TestModelsClaim(t *testing.T) {
	f := func(claim string, other map[string]any, want ...string) {
		t.Helper()
		b := newBench(t, jwtPolicy(t, "p", func(j *xdsv1.JWT) { j.ModelsClaim = claim }))
		status := 200
		if want == nil {
			status = 403
		}
		x := b.want(status, "Authorization: Bearer "+sign(t, jose.ES256, ecKey(), "ec", claims(other)))
		if want != nil && !slices.Equal(x.Identity.Models, want) {
			t.Errorf("%v, want %v", x.Identity.Models, want)
		}
	}
	f("models", map[string]any{"models": []string{"a", "b-*"}}, "a", "b-*")
	f("models", map[string]any{"models": "a b,c"}, "a", "b", "c")
	f("ai.models", map[string]any{"ai": map[string]any{"models": "a"}}, "a")
	f("https://example.com/models", map[string]any{"https://example.com/models": "a"}, "a")
	f("models", nil)
	f("ai.models", map[string]any{"ai": "x"})
	f("models", map[string]any{"models": []string{}})
	f("models", map[string]any{"models": ""})
	f("models", map[string]any{"models": []any{"a", 1}})
	f("models", map[string]any{"models": []any{""}})
	f("models", map[string]any{"models": "**"})
	f("models", map[string]any{"models": strings.Repeat("a ", maxClaimModels+1)})
}

// TestSeveralIssuers finds the one of a token, and what an API key does not open a token may.
func TestSeveralIssuers(t *testing.T) {
	first := jwtPolicy(t, "p", nil)
	first.GetAuth().ApiKeys = true
	second := jwtPolicy(t, "", func(j *xdsv1.JWT) { j.Issuer = "other" }).GetAuth().Jwt[0]
	third := jwtPolicy(t, "", func(j *xdsv1.JWT) { j.Audiences = []string{"third"} }).GetAuth().Jwt[0]
	first.GetAuth().Jwt = append(first.GetAuth().Jwt, second, third)
	b := newBench(t, first)
	b.caller("alice", alice, nil, "p")
	b.want(200, "Authorization: Bearer "+alice)
	for _, other := range []map[string]any{nil, {"iss": "other"}, {"aud": "third"}} {
		b.want(200, "Authorization: Bearer "+sign(t, jose.ES256, ecKey(), "ec", claims(other)))
	}
	b.want(403, "Authorization: Bearer "+sign(t, jose.ES256, ecKey(), "ec", claims(map[string]any{"iss": "other", "aud": "third"})))
	b.want(200, "X-Api-Key: else", "Authorization: Bearer "+sign(t, jose.ES256, ecKey(), "ec", claims(nil)))
}

// TestVerifiedOnce verifies a token once, until it ends or the keys are others; and costs no allocation then.
func TestVerifiedOnce(t *testing.T) {
	p := jwtPolicy(t, "p", nil)
	b := newBench(t, p)
	clock := now()
	b.auth.Now = func() time.Time { return clock }
	token := "Authorization: Bearer " + sign(t, jose.ES256, ecKey(), "ec", claims(map[string]any{"exp": now().Add(time.Minute).Unix()}))
	first := b.want(200, token)
	if second := b.want(200, token); second.Identity != first.Identity || b.count.count("verified") != 1 {
		t.Error("verified again")
	}
	x := request("POST", "/v1/chat/completions", token)
	defer exchange.Release(x)
	if n := testing.AllocsPerRun(100, func() { b.chain.Request[0].OnRequest(x) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	b.apply(p, keyPolicy("other", "")) // another table, the same policy
	b.apply(p)
	if b.want(200, token); b.count.count("verified") != 1 {
		t.Error("verified again after another change")
	}
	clock = clock.Add(2 * time.Minute)
	b.want(401, token)
	b.apply(jwtPolicy(t, "p", func(j *xdsv1.JWT) {
		j.Jwks = &xdsv1.JWT_Inline{Inline: set(t, map[string]crypto.Signer{"rsa": rsaKey()})}
	}))
	clock = now()
	b.want(401, token)
}

// TestRememberedTokens bounds what is remembered: those that were used last.
func TestRememberedTokens(t *testing.T) {
	told := 0
	c := newTokens(2*shards, func(n int) { told = n })
	at := func(i byte) tokenKey { return tokenKey{digest: digest{0, i}} }
	n := &known{until: now().Add(time.Hour)}
	c.put(at(1), n)
	c.put(at(2), n)
	c.put(at(1), n)
	c.put(at(3), n)
	for i, want := range []bool{1: true, 2: false, 3: true} {
		if got := c.get(at(byte(i)), now()) != nil; i > 0 && got != want {
			t.Errorf("%d: %v", i, got)
		}
	}
	if c.get(at(1), now().Add(time.Hour)) != nil || told != 1 {
		t.Errorf("%d are left", told)
	}
	other := at(3)
	other.verifier = &verifier{}
	if c.get(other, now()) != nil {
		t.Error("a token is known to a verifier that never saw it")
	}
}

func TestFaults(t *testing.T) {
	a := New(Options{})
	defer a.Close()
	p := jwtPolicy(t, "p", func(j *xdsv1.JWT) { j.Jwks = &xdsv1.JWT_Inline{Inline: []byte("x")} })
	if _, err := a.Filters([]*xdsv1.Policy{p}); fmt.Sprint(err) != `policy/auth/a/p: auth.jwt[0].inline: it is not JSON like {"keys": [...]}` {
		t.Error(err)
	}
}

// FuzzToken looks for a credential that passes, or breaks something. The one that is good is known by its signature alone.
func FuzzToken(f *testing.F) {
	p := jwtPolicy(f, "p", nil)
	p.GetAuth().ApiKeys = true
	b := newBench(f, p)
	good := sign(f, jose.ES256, ecKey(), "ec", claims(nil))
	for _, seed := range []string{good, "Bearer " + good, "Bearer a.b.c", "Basic x", "bearer  " + alice, "Bearer eyJhbGciOiJub25lIn0.e30.", "..", "Bearer\t.."} {
		f.Add(seed, seed)
	}
	body := strings.Split(good, ".")[1]
	f.Fuzz(func(t *testing.T, authorization, key string) {
		x := request("POST", "/v1/messages")
		defer exchange.Release(x)
		x.Req.Set("Authorization", authorization)
		x.Req.Set("X-Api-Key", key)
		b.chain.Request[0].OnRequest(x)
		if (x.Identity != nil) == (x.Resp.StatusCode() != 200) {
			t.Fatalf("%d with %v", x.Resp.StatusCode(), x.Identity)
		}
		if x.Identity != nil && !strings.Contains(authorization, body) {
			t.Fatalf("%q passed", authorization)
		}
	})
}
