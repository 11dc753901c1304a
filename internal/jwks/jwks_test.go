package jwks

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

type keys struct {
	rsa   *rsa.PrivateKey
	small *rsa.PrivateKey
	ec    *ecdsa.PrivateKey
	ed    ed25519.PrivateKey
}

func newKeys(t testing.TB) (k keys) {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	var errs [4]error
	k.rsa, errs[0] = rsa.GenerateKey(rand.Reader, 2048)
	k.small, errs[1] = rsa.GenerateKey(rand.Reader, 1024)
	k.ec, errs[2] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, k.ed, errs[3] = ed25519.GenerateKey(rand.Reader)
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func set(t testing.TB, keys ...jose.JSONWebKey) []byte {
	t.Helper()
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParse(t *testing.T) {
	k := newKeys(t)
	good := jose.JSONWebKey{Key: &k.rsa.PublicKey, KeyID: "r"}
	f := func(name string, text []byte, fit int, want string) {
		t.Helper()
		s, unfit, err := Parse(text)
		var told []string
		for _, e := range unfit {
			told = append(told, e.Error())
		}
		if err != nil {
			told = append(told, err.Error())
		} else if s.Len() != fit {
			t.Errorf("%s: %d keys, not %d", name, s.Len(), fit)
		}
		if got := strings.Join(told, "; "); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	none := "the set has no key that a signature can be verified with"
	f("all kinds", set(t, good, jose.JSONWebKey{Key: &k.ec.PublicKey, Use: "sig"}, jose.JSONWebKey{Key: k.ed.Public(), Algorithm: "EdDSA"}), 3, "")
	f("no JSON", []byte("keys"), 0, `it is not JSON like {"keys": [...]}`)
	f("empty", []byte(`{}`), 0, none)
	f("symmetric", set(t, good, jose.JSONWebKey{Key: []byte("secret")}), 1, "keys[1] is a symmetric key: it is not to be shown to anybody")
	f("private", set(t, good, jose.JSONWebKey{Key: k.ec}), 1, "keys[1] is a private key: it is not to be shown to anybody")
	f("short", set(t, jose.JSONWebKey{Key: &k.small.PublicKey}), 0, "keys[0] has 1024 bits, not 2048 to 8192; "+none)
	f("encryption", set(t, good, jose.JSONWebKey{Key: &k.ec.PublicKey, Use: "enc"}), 1, "keys[1] is not for signatures")
	f("algorithm", set(t, good, jose.JSONWebKey{Key: &k.ec.PublicKey, Algorithm: "RS256"}), 1, "keys[1] names an algorithm that does not go with it")
	f("kind", []byte(`{"keys": [{"kty": "x"}, 1, null]}`), 0, "keys[0] is not a key of a kind that is known; keys[1] is not a key of a kind that is known; keys[2] is not a key of a kind that is known; "+none)
	f("too many", []byte(`{"keys": [`+strings.Repeat("1,", 64)+`1]}`), 0, "the set has 65 keys, more than 64")
	f("too long", make([]byte, MaxSize+1), 0, "the set has more than 262144 bytes")
}

func TestFor(t *testing.T) {
	k := newKeys(t)
	s, _, err := Parse(set(t, jose.JSONWebKey{Key: &k.rsa.PublicKey, KeyID: "a"}, jose.JSONWebKey{Key: &k.rsa.PublicKey, KeyID: "b", Algorithm: "PS256"},
		jose.JSONWebKey{Key: &k.ec.PublicKey, KeyID: "a"}))
	if err != nil {
		t.Fatal(err)
	}
	f := func(id, alg string, want int) {
		t.Helper()
		if got := len(s.For(id, alg)); got != want {
			t.Errorf("%q %s: %d keys, not %d", id, alg, got, want)
		}
	}
	f("a", "RS256", 1)
	f("a", "ES256", 1)
	f("a", "ES384", 0)
	f("b", "RS256", 0)
	f("b", "PS256", 1)
	f("", "PS256", 2)
	f("c", "RS256", 0)
	f("a", "HS256", 0)
	f("a", "none", 0)
}

func TestEqual(t *testing.T) {
	k, other := newKeys(t), newKeys(t)
	parse := func(keys ...jose.JSONWebKey) *Set {
		s, _, err := Parse(set(t, keys...))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a := parse(jose.JSONWebKey{Key: &k.rsa.PublicKey, KeyID: "a"}, jose.JSONWebKey{Key: k.ed.Public()})
	if !a.Equal(parse(jose.JSONWebKey{Key: &k.rsa.PublicKey, KeyID: "a"}, jose.JSONWebKey{Key: k.ed.Public()})) {
		t.Error("equal sets are told apart")
	}
	for _, b := range []*Set{
		nil, parse(jose.JSONWebKey{Key: &k.rsa.PublicKey, KeyID: "a"}),
		parse(jose.JSONWebKey{Key: &other.rsa.PublicKey, KeyID: "a"}, jose.JSONWebKey{Key: k.ed.Public()}),
		parse(jose.JSONWebKey{Key: &k.rsa.PublicKey, KeyID: "b"}, jose.JSONWebKey{Key: k.ed.Public()}),
		parse(jose.JSONWebKey{Key: &k.rsa.PublicKey, KeyID: "a", Algorithm: "PS256"}, jose.JSONWebKey{Key: k.ed.Public()}),
	} {
		if a.Equal(b) {
			t.Errorf("%v is equal", b)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"keys": [{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`))
	f.Add([]byte(`{"keys": [{"kty": "oct", "k": "AAAA"}, {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, _, err := Parse(data)
		if (s == nil || s.Len() == 0) == (err == nil) {
			t.Fatalf("%v with %v", s, err)
		}
		if s != nil && (!s.Equal(s) || len(s.For("", "HS256")) > 0) {
			t.Fatal(s)
		}
	})
}
