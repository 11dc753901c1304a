// Package jwks reads JSON Web Key Sets (RFC 7517): the public keys that tokens are verified with. Both planes read them, one to
// say what is wrong with a set, the other to use it. It fetches nothing and verifies nothing.
package jwks

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

const (
	// MaxSize is the most bytes of a set that are read.
	MaxSize = 256 << 10
	// maxKeys bounds what a set may have: identity providers have a handful.
	maxKeys = 64
	// RSA keys: RFC 7518 section 3.3 asks for 2048 bits; more than the upper bound costs too much to verify with.
	minRSA, maxRSA = 2048, 8192
)

// ErrSecret is the fault of a key that should not be in a public place.
var ErrSecret = errors.New("it is not to be shown to anybody")

// Set are the keys of one issuer. It is immutable.
type Set struct{ keys []Key }

// Key is a public key.
type Key struct {
	// ID is the key's "kid", may be empty.
	ID string
	// Public is *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey.
	Public any
	// algorithms are those that may be used with the key.
	algorithms []jose.SignatureAlgorithm
}

// Algorithms are those that tokens may be signed with: public-key ones alone. "none" and HMAC, for which a public key would be
// no secret, are not among them (RFC 8725, section 3.1).
func Algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
}

// Parse reads a set. Keys that cannot be used are left out and told in unfit, as RFC 7517 section 5 asks for; it is an error when
// none is left.
func Parse(data []byte) (s *Set, unfit []error, err error) {
	if len(data) > MaxSize {
		return nil, nil, fmt.Errorf("the set has more than %d bytes", MaxSize)
	}
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, nil, errors.New(`it is not JSON like {"keys": [...]}`)
	}
	if len(raw.Keys) > maxKeys {
		return nil, nil, fmt.Errorf("the set has %d keys, more than %d", len(raw.Keys), maxKeys)
	}
	s = &Set{}
	for i, text := range raw.Keys {
		k, err := parse(text)
		if err != nil {
			unfit = append(unfit, fmt.Errorf("keys[%d] %w", i, err))
			continue
		}
		s.keys = append(s.keys, k)
	}
	if len(s.keys) == 0 {
		return nil, unfit, errors.New("the set has no key that a signature can be verified with")
	}
	return s, unfit, nil
}

// parse reads one key. Its errors quote nothing of it: somebody may have put a secret one there.
func parse(text []byte) (Key, error) {
	var w jose.JSONWebKey
	if err := w.UnmarshalJSON(text); err != nil {
		return Key{}, errors.New("is not a key of a kind that is known")
	}
	if w.Use != "" && w.Use != "sig" {
		return Key{}, errors.New("is not for signatures")
	}
	k := Key{ID: w.KeyID, Public: w.Key}
	if err := k.fit(); err != nil {
		return Key{}, err
	}
	return k, k.only(w.Algorithm)
}

// fit finds the algorithms of the key by its kind.
func (k *Key) fit() error {
	switch p := k.Public.(type) {
	case *rsa.PublicKey:
		if n := p.N.BitLen(); n < minRSA || n > maxRSA {
			return fmt.Errorf("has %d bits, not %d to %d", n, minRSA, maxRSA)
		}
		k.algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}
	case *ecdsa.PublicKey:
		switch p.Curve.Params().BitSize {
		case 256:
			k.algorithms = []jose.SignatureAlgorithm{jose.ES256}
		case 384:
			k.algorithms = []jose.SignatureAlgorithm{jose.ES384}
		case 521:
			k.algorithms = []jose.SignatureAlgorithm{jose.ES512}
		default:
			return errors.New("is on a curve that is not known")
		}
	case ed25519.PublicKey:
		k.algorithms = []jose.SignatureAlgorithm{jose.EdDSA}
	case []byte:
		return fmt.Errorf("is a symmetric key: %w", ErrSecret)
	case *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey:
		return fmt.Errorf("is a private key: %w", ErrSecret)
	default:
		return errors.New("is not a key of a kind that is known")
	}
	return nil
}

// only keeps the algorithm that the key names, if it does.
func (k *Key) only(algorithm string) error {
	if algorithm == "" {
		return nil
	}
	for _, a := range k.algorithms {
		if string(a) == algorithm {
			k.algorithms = []jose.SignatureAlgorithm{a}
			return nil
		}
	}
	return errors.New("names an algorithm that does not go with it")
}

// For are the keys that a token with this kid and alg may be signed with: those of the id, or all where the token names none.
func (s *Set) For(id, algorithm string) []Key {
	var out []Key
	for _, k := range s.keys {
		if id != "" && k.ID != id {
			continue
		}
		for _, a := range k.algorithms {
			if string(a) == algorithm {
				out = append(out, k)
			}
		}
	}
	return out
}

// Len is the number of keys.
func (s *Set) Len() int { return len(s.keys) }

// Equal says whether both sets have the same keys in the same order.
func (s *Set) Equal(o *Set) bool {
	if s == nil || o == nil || len(s.keys) != len(o.keys) {
		return s == o
	}
	for i := range s.keys {
		if !s.keys[i].equal(&o.keys[i]) {
			return false
		}
	}
	return true
}

func (k *Key) equal(o *Key) bool {
	if k.ID != o.ID || len(k.algorithms) != len(o.algorithms) || k.algorithms[0] != o.algorithms[0] {
		return false
	}
	switch p := k.Public.(type) {
	case *rsa.PublicKey:
		return p.Equal(o.Public)
	case *ecdsa.PublicKey:
		return p.Equal(o.Public)
	case ed25519.PublicKey:
		return p.Equal(o.Public)
	}
	return false
}
