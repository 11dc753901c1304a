package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.uber.org/goleak"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The keys that tests sign with.
var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey { k, _ := rsa.GenerateKey(rand.Reader, 2048); return k })
	ecKey  = sync.OnceValue(func() *ecdsa.PrivateKey { k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader); return k })
	edKey  = sync.OnceValue(func() ed25519.PrivateKey { _, k, _ := ed25519.GenerateKey(rand.Reader); return k })
)

// set is a JSON Web Key Set of the public halves.
func set(t testing.TB, keys map[string]crypto.Signer) []byte {
	t.Helper()
	var s jose.JSONWebKeySet
	for id, k := range keys {
		s.Keys = append(s.Keys, jose.JSONWebKey{Key: k.Public(), KeyID: id, Use: "sig"})
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sign makes a token.
func sign(t testing.TB, alg jose.SignatureAlgorithm, key any, id string, claims map[string]any) string {
	t.Helper()
	o := &jose.SignerOptions{}
	if id != "" {
		o.WithHeader("kid", id)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// claims are those of a good token, with others in their place; nil takes one away.
func claims(other map[string]any) map[string]any {
	c := map[string]any{"iss": "idp", "sub": "alice", "aud": "ai", "exp": now().Add(time.Hour).Unix(), "iat": now().Unix()}
	for k, v := range other {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

// now is the clock of the tests.
func now() time.Time { return time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC) }

type counter struct {
	mu  sync.Mutex
	got map[string]int
}

func (c *counter) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got[what]++
}

func (c *counter) count(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got[what]
}

func (c *counter) AuthPolicy(string) Meter { return c }
func (c *counter) Callers(int)             {}
func (c *counter) CachedTokens(int)        {}
func (c *counter) Checked(result string, verified bool) {
	c.add(result)
	if verified {
		c.add("verified")
	}
}
func (c *counter) Fetched(ok bool) {
	if ok {
		c.add("fetched")
	} else {
		c.add("failed")
	}
}

// bench is an Auth with policies in front of a rule.
type bench struct {
	t     testing.TB
	auth  *Auth
	count *counter
	rs    map[string]*xdsv1.Resource
	list  []*xdsv1.Policy
	chain filter.Chain
}

func newBench(t testing.TB, list ...*xdsv1.Policy) *bench {
	b := &bench{t: t, count: &counter{got: map[string]int{}}, rs: map[string]*xdsv1.Resource{}}
	b.auth = New(Options{Metrics: b.count, Now: now})
	t.Cleanup(b.auth.Close)
	b.apply(list...)
	return b
}

// apply makes a table of the policies and the callers.
func (b *bench) apply(list ...*xdsv1.Policy) {
	b.t.Helper()
	for key, r := range b.rs {
		if r.GetPolicy() != nil {
			delete(b.rs, key)
		}
	}
	for _, p := range list {
		b.rs[p.Key] = &xdsv1.Resource{Kind: &xdsv1.Resource_Policy{Policy: p}}
	}
	var err error
	if b.chain, err = b.auth.Filters(list); err != nil {
		b.t.Fatal(err)
	}
	b.list = list
	b.auth.Update(b.rs)
}

// caller adds an API key.
func (b *bench) caller(name, key string, models []string, policies ...string) {
	r := callerOf(name, key, policies...)
	r.GetCaller().Models = models
	b.rs[r.GetCaller().Key] = r
	b.auth.Update(b.rs)
}

func callerOf(name, key string, policies ...string) *xdsv1.Resource {
	sum := sha256.Sum256([]byte(key))
	c := &xdsv1.Caller{Key: xdsv1.CallerKey("a", name), Namespace: "a", Name: name, KeySha256: sum[:], Metadata: map[string]string{"of": name}}
	for _, p := range policies {
		c.Policies = append(c.Policies, xdsv1.PolicyKey(xdsv1.PolicyAuth, "a", p))
	}
	return &xdsv1.Resource{Kind: &xdsv1.Resource_Caller{Caller: c}}
}

func (b *bench) revoke(name string) {
	delete(b.rs, xdsv1.CallerKey("a", name))
	b.auth.Update(b.rs)
}

// ask sends a request with header fields like "X-Api-Key: value" through the filters.
func (b *bench) ask(fields ...string) *exchange.Exchange {
	x := request("POST", "/v1/chat/completions", fields...)
	b.t.Cleanup(func() { exchange.Release(x) })
	for _, f := range b.chain.Request {
		if f.OnRequest(x) == filter.Reply {
			break
		}
	}
	return x
}

func request(method, path string, fields ...string) *exchange.Exchange {
	x := exchange.Acquire(context.Background(), nil)
	x.Proto = 2
	x.Req.SetMethod(method)
	x.Path = append(x.Path[:0], path...)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		x.Req.Add(name, value)
	}
	return x
}

// want asks and compares the status; 200 is a request that passed.
func (b *bench) want(status int, fields ...string) *exchange.Exchange {
	b.t.Helper()
	x := b.ask(fields...)
	if got := x.Resp.StatusCode(); got != status {
		b.t.Errorf("%.60q: %d, want %d: %s", fields, got, status, x.RespBody.Bytes)
	}
	if status == 200 && x.Identity == nil {
		b.t.Errorf("%.60q: nobody passed", fields)
	}
	return x
}

func keyPolicy(name, header string) *xdsv1.Policy {
	return policyOf(name, &xdsv1.Auth{ApiKeys: true, ApiKeyHeader: header})
}

func policyOf(name string, a *xdsv1.Auth) *xdsv1.Policy {
	return &xdsv1.Policy{Key: xdsv1.PolicyKey(xdsv1.PolicyAuth, "a", name), Namespace: "a", Name: name, Kind: &xdsv1.Policy_Auth{Auth: a}}
}

// jwtPolicy takes tokens of "idp" for "ai", signed with the three keys.
func jwtPolicy(t testing.TB, name string, change func(*xdsv1.JWT)) *xdsv1.Policy {
	j := &xdsv1.JWT{Issuer: "idp", Audiences: []string{"ai"}, Jwks: &xdsv1.JWT_Inline{
		Inline: set(t, map[string]crypto.Signer{"rsa": rsaKey(), "ec": ecKey(), "ed": edKey()}),
	}}
	if change != nil {
		change(j)
	}
	return policyOf(name, &xdsv1.Auth{Jwt: []*xdsv1.JWT{j}})
}
