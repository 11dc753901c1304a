package table

import (
	"math"
	"testing"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

func weighted(weights ...uint32) *Rule {
	r := &Rule{}
	for _, w := range weights {
		r.Backends = append(r.Backends, WeightedBackend{Weight: w, Handler: exchange.HandlerFunc(func(*exchange.Exchange) {})})
		r.total += w
	}
	return r
}

func TestPickSharesByWeight(t *testing.T) {
	r := weighted(70, 0, 30)
	got := map[*WeightedBackend]int{}
	const n = 20000
	for range n {
		got[r.Pick()]++
	}
	for i := range r.Backends {
		b := &r.Backends[i]
		want := n * float64(b.Weight) / 100
		if math.Abs(float64(got[b])-want) > 5*math.Sqrt(n)/2 {
			t.Errorf("weight %d: %d of %d", b.Weight, got[b], n)
		}
	}
	if r.Backends[1].Weight == 0 && got[&r.Backends[1]] != 0 {
		t.Error("weight 0 was picked")
	}
}

func TestPickAnswers500WhereThereIsNoBackend(t *testing.T) {
	for _, r := range []*Rule{weighted(), weighted(0), weighted(0, 0)} {
		x := request(t, "GET a/")
		r.Pick().Handler.Serve(x)
		if x.Resp.StatusCode() != 500 || x.Note == "" {
			t.Errorf("%d backends: status %d, note %q", len(r.Backends), x.Resp.StatusCode(), x.Note)
		}
	}
}
