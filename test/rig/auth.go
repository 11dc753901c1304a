package rig

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// CallerKey is a Secret "name" with an API key that the policy of KeyPolicy selects. Each of annotations is "name: value".
func CallerKey(name, key string, annotations ...string) string {
	return fmt.Sprintf(`
---
apiVersion: v1
kind: Secret
metadata:
  name: %s
  namespace: default
  labels: {api-key: "true"}
  annotations: {%s}
stringData: {key: %q}
`, name, strings.Join(annotations, ", "), key)
}

// AuthPolicy is an AuthPolicy for a target of the Gateway API, as in "Gateway, name: ai". Each of more is a line of its spec.
func AuthPolicy(name, target string, more ...string) string {
	return fmt.Sprintf(`
---
apiVersion: gateway.nantian.dev/v1alpha1
kind: AuthPolicy
metadata: {name: %s, namespace: default}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: %s}]
%s`, name, target, indent(more))
}

// KeysOf is the line of an AuthPolicy that selects the Secrets of CallerKey.
const KeysOf = `apiKeys: {secretSelector: {matchLabels: {api-key: "true"}}}`

// Issuer is an identity provider: it signs tokens, and serves the keys to verify them with over TLS.
type Issuer struct {
	t testing.TB
	// URL is where the keys are; CA is a ConfigMap "idp" with the certificate to trust.
	URL, CA string

	mu     sync.Mutex
	id     string
	alg    jose.SignatureAlgorithm
	key    crypto.Signer
	rounds int
}

// NewIssuer starts one, with an RSA key, that runs until the test ends.
func NewIssuer(t testing.TB) *Issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &Issuer{t: t, id: "first", alg: jose.RS256, key: key}
	s := httptest.NewTLSServer(http.HandlerFunc(i.serve))
	t.Cleanup(s.Close)
	i.URL = s.URL + "/keys"
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	i.CA = "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: idp, namespace: default}\ndata:\n  ca.crt: |\n    " +
		strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ") + "\n"
	return i
}

// Rotate makes a new key, on a curve, and forgets the old one.
func (i *Issuer) Rotate() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.id, i.alg, i.key = fmt.Sprint("rotated-", time.Now().UnixNano()), jose.ES256, newKey(i.t)
}

// Fetched is how often the keys were asked for.
func (i *Issuer) Fetched() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.rounds
}

func (i *Issuer) serve(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.rounds++
	json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: i.id, Use: "sig", Algorithm: string(i.alg)}}})
}

// Token is a token of "alice" for "ai" that is good for an hour, with other claims in place of those; nil takes one away.
func (i *Issuer) Token(other map[string]any) string {
	i.t.Helper()
	claims := map[string]any{"iss": "https://idp.example.com", "sub": "alice", "aud": "ai", "exp": time.Now().Add(time.Hour).Unix()}
	for k, v := range other {
		if claims[k] = v; v == nil {
			delete(claims, k)
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: i.alg, Key: i.key}, (&jose.SignerOptions{}).WithHeader("kid", i.id))
	if err != nil {
		i.t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return token
}
