// Package session makes requests of one client go to one endpoint (GEP-1619): a token in a cookie or a header says which.
//
// Tokens hold all that there is to know, so that gateways with the same key agree and remember nothing. They are encrypted:
// clients learn no addresses and cannot make tokens.
package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
)

// Keys seals and opens tokens. It is safe for concurrent use.
type Keys struct{ aead cipher.AEAD }

// NewKeys makes Keys of a secret of 16 bytes or more that all gateways share; nil: of one of its own.
func NewKeys(secret []byte) (*Keys, error) {
	if secret == nil {
		secret = make([]byte, sha256.Size)
		rand.Read(secret)
	}
	if len(secret) < 16 {
		return nil, errors.New("the key of sessions is shorter than 16 bytes")
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "nantian session persistence 1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Keys{aead: aead}, nil
}

// Persistence keeps the sessions of one rule. It is a filter of the rule's requests and responses.
type Persistence struct {
	keys     *Keys
	scope    []byte
	name     string
	header   bool
	absolute time.Duration // 0: no limit
	lasting  bool
	now      func() time.Time
}

var (
	_ filter.Request  = (*Persistence)(nil)
	_ filter.Response = (*Persistence)(nil)
)

// New makes a Persistence. A token of one scope is worth nothing in another.
func (k *Keys) New(s *xdsv1.SessionPersistence, scope string) *Persistence {
	p := &Persistence{
		keys: k, scope: []byte(scope), name: s.GetName(), header: s.GetKind() == xdsv1.SessionPersistence_HEADER,
		absolute: s.GetAbsoluteTimeout().AsDuration(), lasting: s.GetPermanent(), now: time.Now,
	}
	if p.name == "" {
		sum := sha256.Sum256(p.scope)
		p.name = "nantian-session-" + hex.EncodeToString(sum[:4])
	}
	return p
}

// OnRequest reads the token of a request. One that is not valid, or too old, is none.
func (p *Persistence) OnRequest(x *exchange.Exchange) filter.Verdict {
	token := x.Req.Cookie(p.name)
	if p.header {
		token = x.Req.Peek(p.name)
	}
	if place, ok := p.open(token); ok {
		x.Wanted = place
	}
	return filter.Continue
}

// OnResponse gives a token to a client that has none, or whose endpoint is another one now.
func (p *Persistence) OnResponse(x *exchange.Exchange) {
	if x.Reached.Endpoint == "" || x.Reached == x.Wanted {
		return
	}
	token := p.seal(x.Reached)
	if p.header {
		x.Resp.Set(p.name, token)
		return
	}
	cookie := p.name + "=" + token + "; Path=/; HttpOnly; SameSite=Lax"
	if x.Scheme == "https" {
		cookie += "; Secure"
	}
	if p.lasting {
		cookie += "; Max-Age=" + strconv.FormatInt(int64(p.absolute/time.Second), 10)
	}
	x.Resp.Add(fasthttp.HeaderSetCookie, cookie)
}

// maxToken bounds what is decoded: a key, an address and what encryption adds.
const maxToken = 1024

// stamp is the length of the time that a session began.
const stamp = 8

func (p *Persistence) seal(place exchange.Place) string {
	plain := binary.BigEndian.AppendUint64(nil, uint64(p.now().Unix()))
	plain = append(append(append(plain, place.Backend...), 0), place.Endpoint...)
	return base64.RawURLEncoding.EncodeToString(p.keys.aead.Seal(nil, nil, plain, p.scope))
}

func (p *Persistence) open(token []byte) (exchange.Place, bool) {
	if len(token) == 0 || len(token) > maxToken {
		return exchange.Place{}, false
	}
	sealed := make([]byte, base64.RawURLEncoding.DecodedLen(len(token)))
	n, err := base64.RawURLEncoding.Decode(sealed, token)
	if err != nil {
		return exchange.Place{}, false
	}
	plain, err := p.keys.aead.Open(nil, nil, sealed[:n], p.scope)
	if err != nil || len(plain) < stamp {
		return exchange.Place{}, false
	}
	began := time.Unix(int64(binary.BigEndian.Uint64(plain)), 0)
	backend, endpoint, ok := strings.Cut(string(plain[stamp:]), "\x00")
	if !ok || p.absolute > 0 && p.now().Sub(began) >= p.absolute {
		return exchange.Place{}, false
	}
	return exchange.Place{Backend: backend, Endpoint: endpoint}, true
}
