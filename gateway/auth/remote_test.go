package auth

import (
	"crypto"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// issuer serves keys over TLS.
type issuer struct {
	*httptest.Server
	asked atomic.Int32
	mu    sync.Mutex
	serve http.HandlerFunc
}

func newIssuer(t *testing.T, h http.HandlerFunc) *issuer {
	i := &issuer{serve: h}
	i.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		h := i.serve
		i.mu.Unlock()
		i.asked.Add(1)
		h(w, r)
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) set(h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.serve = h
}

func serving(t testing.TB, keys map[string]crypto.Signer) http.HandlerFunc {
	body := set(t, keys)
	return func(w http.ResponseWriter, _ *http.Request) { w.Write(body) }
}

func failing(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) }

func (i *issuer) policy(t *testing.T, change func(*xdsv1.RemoteJWKS)) *xdsv1.Policy {
	m := &xdsv1.RemoteJWKS{Url: i.URL + "/keys?secret=1", CaCertificates: [][]byte{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Certificate().Raw}),
	}}
	if change != nil {
		change(m)
	}
	return jwtPolicy(t, "p", func(j *xdsv1.JWT) { j.Jwks = &xdsv1.JWT_Remote{Remote: m} })
}

func ecToken(t testing.TB, id string) string {
	return "Authorization: Bearer " + sign(t, jose.ES256, ecKey(), id, claims(nil))
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

// TestFirstRequestWaits waits for the keys that are being fetched, once.
func TestFirstRequestWaits(t *testing.T) {
	hold := make(chan struct{})
	keys := serving(t, map[string]crypto.Signer{"ec": ecKey()})
	i := newIssuer(t, func(w http.ResponseWriter, r *http.Request) { <-hold; keys(w, r) })
	b := newBench(t, i.policy(t, nil))
	var all sync.WaitGroup
	for range 8 {
		x := request("POST", "/v1/chat/completions", ecToken(t, "ec"))
		all.Go(func() {
			b.chain.Request[0].OnRequest(x)
			if x.Identity == nil {
				t.Error(x.Note)
			}
		})
	}
	close(hold)
	all.Wait()
	if n := i.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestRotation finds a key that is new at once, and forgets one that is gone.
func TestRotation(t *testing.T) {
	i := newIssuer(t, serving(t, map[string]crypto.Signer{"old": ecKey()}))
	b := newBench(t, i.policy(t, nil))
	b.want(200, ecToken(t, "old"))
	i.set(serving(t, map[string]crypto.Signer{"new": rsaKey()}))
	fresh := "Authorization: Bearer " + sign(t, jose.RS256, rsaKey(), "new", claims(nil))
	b.want(200, ecToken(t, "old"))
	b.want(200, fresh)
	b.want(401, ecToken(t, "old"))
	for range 20 {
		b.want(401, ecToken(t, "made-up"))
	}
	if n := i.asked.Load(); n != 2 {
		t.Errorf("asked %d times: made up keys must not make more", n)
	}
}

// TestUnavailable is 503 while the keys were never there, whatever the reason, and ends by itself.
func TestUnavailable(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"error":    failing,
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/else", http.StatusFound) },
		"no set":   func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"keys": []}`)) },
		"endless": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte(strings.Repeat(" ", 64<<10))); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t, h)
			b := newBench(t, i.policy(t, nil))
			x := b.want(503, ecToken(t, "ec"))
			if string(x.Resp.Peek("Retry-After")) != retryAfter || x.Note != "AuthPolicy a/p: unavailable" {
				t.Errorf("%q %q", x.Note, x.Resp.String())
			}
			b.want(401, "Authorization: Bearer else")
			i.set(serving(t, map[string]crypto.Signer{"ec": ecKey()}))
			eventually(t, "keys", func() bool { return b.ask(ecToken(t, "ec")).Identity != nil })
		})
	}
}

// TestUntrusted does not believe a server that the CA does not vouch for, nor one at an address that is refused.
func TestUntrusted(t *testing.T) {
	i := newIssuer(t, serving(t, map[string]crypto.Signer{"ec": ecKey()}))
	b := newBench(t, i.policy(t, func(m *xdsv1.RemoteJWKS) { m.CaCertificates = nil }))
	b.want(503, ecToken(t, "ec"))
	b = newBench(t)
	b.auth.Control = func(string, string) error { return http.ErrAbortHandler }
	b.apply(i.policy(t, nil))
	b.want(503, ecToken(t, "ec"))
	if n := i.asked.Load(); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

// TestStale goes on with the keys while they cannot be fetched, and not for ever.
func TestStale(t *testing.T) {
	i := newIssuer(t, serving(t, map[string]crypto.Signer{"ec": ecKey()}))
	b := newBench(t)
	var clock atomic.Int64
	b.auth.Now = func() time.Time { return now().Add(time.Duration(clock.Load())) }
	b.apply(i.policy(t, func(m *xdsv1.RemoteJWKS) { m.Cache = durationpb.New(10 * time.Millisecond) }))
	b.want(200, ecToken(t, "ec"))
	i.set(failing)
	eventually(t, "a failure", func() bool { return b.count.count("failed") > 0 })
	b.want(200, ecToken(t, "ec"))
	clock.Store(int64(stale))
	b.want(200, "Authorization: Bearer "+sign(t, jose.ES256, ecKey(), "ec", claims(map[string]any{"exp": now().Add(3 * time.Hour).Unix()})))
	clock.Store(int64(stale + time.Second))
	b.want(503, "Authorization: Bearer "+sign(t, jose.ES256, ecKey(), "ec", claims(map[string]any{"exp": now().Add(3 * time.Hour).Unix()})))
}

// TestRefresh fetches again in the background, without verifying tokens again while the keys are the same.
func TestRefresh(t *testing.T) {
	i := newIssuer(t, serving(t, map[string]crypto.Signer{"ec": ecKey()}))
	b := newBench(t, i.policy(t, func(m *xdsv1.RemoteJWKS) { m.Cache = durationpb.New(10 * time.Millisecond) }))
	token := ecToken(t, "ec")
	b.want(200, token)
	eventually(t, "a second time", func() bool { return b.count.count("fetched") > 2 })
	if b.want(200, token); b.count.count("verified") != 1 {
		t.Error("verified again")
	}
}

// TestTables fetches for the policies that are served, keeps what it has through changes, and ends with them.
func TestTables(t *testing.T) {
	i := newIssuer(t, serving(t, map[string]crypto.Signer{"ec": ecKey()}))
	p := i.policy(t, nil)
	b := newBench(t, p)
	b.want(200, ecToken(t, "ec"))
	edited := i.policy(t, nil)
	edited.GetAuth().Jwt[0].Audiences = []string{"ai", "more"}
	refused := i.policy(t, func(m *xdsv1.RemoteJWKS) { m.Url = i.URL + "/else" })
	if _, err := b.auth.Filters([]*xdsv1.Policy{refused}); err != nil { // of a table that is never served
		t.Fatal(err)
	}
	b.apply(p)
	b.want(200, ecToken(t, "ec"))
	b.apply(edited)
	b.want(200, ecToken(t, "ec"))
	if n := i.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	b.apply()
	if len(b.auth.running) != 0 || len(b.auth.serving) != 0 {
		t.Error("something is left")
	}
}
