package session

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

func TestTokensEnd(t *testing.T) {
	keys, err := NewKeys(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &xdsv1.SessionPersistence{Kind: xdsv1.SessionPersistence_COOKIE, AbsoluteTimeout: durationpb.New(time.Hour)}
	p, other := keys.New(s, "a"), keys.New(s, "b")
	now := time.Unix(1_700_000_000, 0)
	p.now = func() time.Time { return now }
	place := exchange.Place{Backend: "backend/a/b/80", Endpoint: "[2001:db8::1]:80"}
	token := []byte(p.seal(place))
	if got, ok := p.open(token); !ok || got != place {
		t.Fatalf("%v, %t", got, ok)
	}
	if _, ok := other.open(token); ok {
		t.Error("a token of another rule is taken")
	}
	now = now.Add(time.Hour)
	if _, ok := p.open(token); ok {
		t.Error("a token is taken after its time")
	}
}

func FuzzOpen(f *testing.F) {
	keys, err := NewKeys([]byte("sixteen bytes or more"))
	if err != nil {
		f.Fatal(err)
	}
	p := keys.New(&xdsv1.SessionPersistence{Kind: xdsv1.SessionPersistence_COOKIE}, "a")
	f.Add([]byte(p.seal(exchange.Place{Backend: "b", Endpoint: "e"})), 0)
	f.Fuzz(func(t *testing.T, token []byte, flip int) {
		good := []byte(p.seal(exchange.Place{Backend: "b", Endpoint: "e"}))
		i := int(uint(flip) % uint(len(good)))
		if good[i]--; i < len(good)-1 { // the last character has bits of no meaning
			if _, ok := p.open(good); ok {
				t.Errorf("a token with another byte at %d is taken", i)
			}
		}
		p.open(token)
	})
}
