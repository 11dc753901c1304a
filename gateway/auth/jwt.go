package auth

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/internal/jwks"
)

const (
	// leeway is how far the clocks of issuers and of this machine may be apart.
	leeway = time.Minute
	// maxKept bounds how long a verified token is remembered, whatever its exp says.
	maxKept = 24 * time.Hour
	// maxTried bounds how many keys a signature is tried with.
	maxTried = 8
	// maxClaimModels bounds what a claim may list.
	maxClaimModels = 128
)

// keySource has the keys of an issuer.
type keySource interface {
	// current are the keys; nil: there are none that may be believed. It may wait for them, once, when they were never there.
	current(x *exchange.Exchange) *jwks.Set
	// newer looks whether the issuer has other keys than old by now, as far as that may be asked.
	newer(x *exchange.Exchange, old *jwks.Set) *jwks.Set
}

// fixed are keys that the policy says.
type fixed struct{ set *jwks.Set }

func (f *fixed) current(*exchange.Exchange) *jwks.Set          { return f.set }
func (f *fixed) newer(*exchange.Exchange, *jwks.Set) *jwks.Set { return f.set }

// verifier takes the tokens of one issuer for one policy. It is immutable.
type verifier struct {
	issuer    string
	audiences []string
	// models is the path of the claim that lists them; nil: all may be used.
	models []string
	keys   keySource
}

func (a *Auth) verifier(p *policy, j *xdsv1.JWT, old []*policy) (*verifier, error) {
	v := &verifier{issuer: j.GetIssuer(), audiences: j.GetAudiences()}
	if c := j.GetModelsClaim(); c != "" {
		v.models = strings.Split(c, ".")
	}
	if m := j.GetRemote(); m != nil {
		var err error
		v.keys, err = a.remote(p, m, old)
		return v, err
	}
	set, _, err := jwks.Parse(j.GetInline())
	if err != nil {
		return nil, fmt.Errorf("inline: %w", err)
	}
	v.keys = &fixed{set}
	return v, nil
}

// check looks at the token of a request: as one that was verified before, or with all care.
func (w *way) check(a *Auth, x *exchange.Exchange) (id *exchange.Identity, r result, verified bool) {
	text, there := w.field.credential(x)
	switch {
	case !there:
		return nil, missing, false
	case len(text) > maxCredential || bytes.Count(text, []byte(".")) != 2:
		return nil, unknown, false
	}
	sum, now := sha256.Sum256(text), a.Now()
	for _, v := range w.verifiers {
		if t := a.tokens.get(tokenKey{sum, v}, now); t != nil && t.keys == v.keys.current(x) {
			return t.identity, passed, false
		}
	}
	token, err := jwt.ParseSigned(string(text), jwks.Algorithms())
	if err != nil {
		return nil, unknown, false
	}
	var said struct {
		Issuer string `json:"iss"`
	}
	if token.UnsafeClaimsWithoutVerification(&said) != nil {
		return nil, unknown, false
	}
	r = unknown
	for _, v := range w.verifiers {
		if v.issuer != said.Issuer {
			continue
		}
		verified = true
		t, next := v.verify(x, token, now)
		if next == passed {
			a.tokens.put(tokenKey{sum, v}, t)
			return t.identity, passed, true
		}
		r = max(r, next)
	}
	return nil, r, verified
}

// verify verifies a token of the issuer.
func (v *verifier) verify(x *exchange.Exchange, token *jwt.JSONWebToken, now time.Time) (*known, result) {
	set := v.keys.current(x)
	if set == nil {
		return nil, unavailable
	}
	claims, err := signed(token, set)
	if errors.Is(err, errNoKey) {
		if fresh := v.keys.newer(x, set); fresh != set && fresh != nil {
			set = fresh
			claims, err = signed(token, set)
		}
	}
	if err != nil {
		return nil, unknown
	}
	until, r := v.times(claims, now)
	if r != passed {
		return nil, r
	}
	if !v.forUs(claims) {
		return nil, forbidden
	}
	id := &exchange.Identity{Issuer: v.issuer, Claims: claims}
	id.Subject, _ = claims["sub"].(string)
	if v.models != nil {
		if id.Models = modelsIn(claims, v.models); id.Models == nil {
			return nil, forbidden
		}
	}
	return &known{identity: id, until: until, keys: set}, passed
}

// errNoKey says that the issuer may have a key by now that we do not know.
var errNoKey = errors.New("no key of the issuer goes with the token")

// signed verifies the signature with the keys that go with the token's header, and gives its claims.
func signed(token *jwt.JSONWebToken, set *jwks.Set) (map[string]any, error) {
	h := token.Headers[0]
	fit := set.For(h.KeyID, h.Algorithm)
	err := errNoKey
	for _, k := range fit[:min(len(fit), maxTried)] {
		var strict map[string]any // go-jose's reader refuses a member that is there twice
		var claims exact
		wrong := token.Claims(k.Public, &strict, &claims)
		if wrong == nil {
			return claims, nil
		}
		if h.KeyID != "" {
			err = wrong
		}
	}
	return nil, err
}

// exact is claims with their numbers as they are written: those above 2^53, such as ids, would lose digits.
type exact map[string]any

// UnmarshalJSON implements json.Unmarshaler.
func (c *exact) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode((*map[string]any)(c))
}

// number is a claim as a number.
func number(v any) (f float64, ok bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}

// times holds exp, nbf and iat to the clock (RFC 7519, section 4.1). exp has to be there: a token that never ends could not be
// taken back. until is when the token ends.
func (v *verifier) times(claims map[string]any, now time.Time) (until time.Time, r result) {
	seconds, slack := float64(now.UnixNano())/1e9, leeway.Seconds()
	exp, ok := number(claims["exp"])
	if !ok {
		return time.Time{}, unknown
	}
	if seconds >= exp+slack {
		return time.Time{}, expired
	}
	for _, name := range [...]string{"nbf", "iat"} {
		c, there := claims[name]
		if t, ok := number(c); there && (!ok || t > seconds+slack) {
			return time.Time{}, unknown
		}
	}
	left := min(exp+slack-seconds, maxKept.Seconds())
	return now.Add(time.Duration(left * float64(time.Second))), passed
}

// forUs says whether the token is for one of the audiences.
func (v *verifier) forUs(claims map[string]any) bool {
	if len(v.audiences) == 0 {
		return true
	}
	switch aud := claims["aud"].(type) {
	case string:
		return slices.Contains(v.audiences, aud)
	case []any:
		return slices.ContainsFunc(aud, func(one any) bool {
			s, ok := one.(string)
			return ok && slices.Contains(v.audiences, s)
		})
	}
	return false
}

// modelsIn reads the claim that lists models; nil: it is not there, lists none, or is not such a list. A name with a dot in it, such as an
// address of the web, may be one level.
func modelsIn(claims map[string]any, path []string) []string {
	if c, there := claims[strings.Join(path, ".")]; there {
		return modelList(c)
	}
	at := claims
	for _, name := range path[:len(path)-1] {
		at, _ = at[name].(map[string]any)
	}
	return modelList(at[path[len(path)-1]])
}

func modelList(claim any) []string {
	var out []string
	switch c := claim.(type) {
	case string:
		out = strings.FieldsFunc(c, func(r rune) bool { return r == ' ' || r == ',' })
	case []any:
		for _, one := range c {
			s, ok := one.(string)
			if !ok {
				return nil
			}
			out = append(out, s)
		}
	}
	if len(out) == 0 || len(out) > maxClaimModels || slices.ContainsFunc(out, func(s string) bool { return s == "" || strings.Count(s, "*") > 1 }) {
		return nil
	}
	return out
}
