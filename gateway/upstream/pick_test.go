package upstream

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

func addresses(n int) []*xdsv1.Endpoint {
	var list []*xdsv1.Endpoint
	for i := range n {
		list = append(list, &xdsv1.Endpoint{Address: fmt.Sprintf("10.0.%d.%d", i/250, i%250+1), Port: 80})
	}
	return list
}

func balanced(t testing.TB, lb *xdsv1.LoadBalancing, list []*xdsv1.Endpoint) *Cluster {
	c := NewCluster(Config{Key: "test", Name: "test", LoadBalancing: lb})
	t.Cleanup(c.Close)
	c.SetEndpoints(list)
	return c
}

// picks counts where n calls go that end at once.
func picks(t testing.TB, c *Cluster, n int, hash func(i int) uint64) map[string]int {
	t.Helper()
	got := map[string]int{}
	for i := range n {
		var w wish
		if hash != nil {
			w.Hash, w.Hashed = hash(i), true
		}
		ch, err := c.Pick(&w)
		if err != nil {
			t.Fatal(err)
		}
		got[ch.Endpoint.Addr]++
		ch.Done()
	}
	return got
}

func key(i int) uint64 { return hashText(fmt.Sprint("user-", i)) }

var algorithms = map[string]*xdsv1.LoadBalancing{
	"round robin":     {},
	"least request":   {Policy: xdsv1.LoadBalancing_LEAST_REQUEST},
	"random":          {Policy: xdsv1.LoadBalancing_RANDOM},
	"consistent hash": {Policy: xdsv1.LoadBalancing_CONSISTENT_HASH, Hash: &xdsv1.HashKey{Source: xdsv1.HashKey_SOURCE_IP}},
}

func TestEndpointsHaveEqualShares(t *testing.T) {
	for name, lb := range algorithms {
		for _, n := range []int{1, 2, 7, 50} {
			c := balanced(t, lb, addresses(n))
			const each = 2000
			got := picks(t, c, each*n, key)
			for _, e := range addresses(n) {
				if k := got[e.Address+":80"]; k < each*85/100 || k > each*115/100 {
					t.Errorf("%s: %d of %d: %d picks of about %d", name, n, n, k, each)
				}
			}
		}
	}
}

func TestWeightsMakeShares(t *testing.T) {
	for name, lb := range algorithms {
		list := addresses(3)
		list[0].Weight, list[1].Weight, list[2].Weight = 1, 2, 5
		got := picks(t, balanced(t, lb, list), 40000, key)
		for i, want := range []int{5000, 10000, 25000} {
			if k := got[list[i].Address+":80"]; k < want*85/100 || k > want*115/100 {
				t.Errorf("%s: %d picks of about %d", name, k, want)
			}
		}
	}
}

func TestFewKeysMoveWhenAnEndpointGoes(t *testing.T) {
	lb := algorithms["consistent hash"]
	list := addresses(20)
	before, after := balanced(t, lb, list), balanced(t, lb, append(append([]*xdsv1.Endpoint(nil), list[:7]...), list[8:]...))
	moved, gone := 0, 0
	const n = 20000
	for i := range n {
		w := wish{Affinity: Affinity{Hash: key(i), Hashed: true}}
		v := w
		a, _ := before.Pick(&w)
		b, _ := after.Pick(&v)
		switch {
		case a.Endpoint.Addr == list[7].Address+":80":
			gone++
		case a.Endpoint.Addr != b.Endpoint.Addr:
			moved++
		}
	}
	if gone == 0 || moved > n*5/100 {
		t.Errorf("of %d keys %d were the endpoint's and %d others moved", n, gone, moved)
	}
}

func TestKeysOfFullEndpointsAreSpread(t *testing.T) {
	c := balanced(t, &xdsv1.LoadBalancing{Policy: xdsv1.LoadBalancing_CONSISTENT_HASH, Hash: &xdsv1.HashKey{Source: xdsv1.HashKey_SOURCE_IP}, MaxInFlight: 10}, addresses(5))
	got := map[string]int{}
	for range 50 { // one key, more than its endpoint takes
		ch, err := c.Pick(&wish{Affinity: Affinity{Hash: key(1), Hashed: true}})
		if err != nil {
			t.Fatal(err)
		}
		got[ch.Endpoint.Addr]++
	}
	for addr, n := range got {
		if n != 10 {
			t.Errorf("%s has %d", addr, n)
		}
	}
	if _, err := c.Pick(&wish{}); !errors.Is(err, errOverflow) {
		t.Errorf("beyond all limits: %v", err)
	}
}

func TestRequestsOfAClusterAreBounded(t *testing.T) {
	c := balanced(t, &xdsv1.LoadBalancing{MaxRequests: 3}, addresses(2))
	var held []Choice
	for range 3 {
		ch, err := c.Pick(&wish{})
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, ch)
	}
	if _, err := c.Pick(&wish{}); !errors.Is(err, errOverflow) {
		t.Fatalf("the fourth: %v", err)
	}
	held[0].Done()
	if _, err := c.Pick(&wish{}); err != nil {
		t.Fatal(err)
	}
}

func TestLeastRequestPrefersTheIdle(t *testing.T) {
	c := balanced(t, algorithms["least request"], addresses(2))
	busy := c.set.Load().fit[0]
	busy.inFlight.Add(5)
	if got := picks(t, c, 1000, nil)[busy.Addr]; got > 200 { // an eighth: drawn three times in a row
		t.Errorf("%d of 1000 went to the busy one", got)
	}
}

func TestAnotherPickGivesAnotherEndpoint(t *testing.T) {
	for name, lb := range algorithms {
		c := balanced(t, lb, addresses(3))
		for i := range 100 {
			w := wish{Affinity: Affinity{Hash: key(i), Hashed: true}}
			seen := map[string]bool{}
			for range maxConnectTries {
				ch, err := c.Pick(&w)
				if err != nil || seen[ch.Endpoint.Addr] {
					t.Fatalf("%s: %v, %v", name, err, seen)
				}
				seen[ch.Endpoint.Addr] = true
			}
		}
	}
}

// A further attempt goes elsewhere, and back when everything was tried. One of a session stays.
func TestAttemptsGoElsewhere(t *testing.T) {
	for name, lb := range algorithms {
		c := balanced(t, lb, addresses(2))
		for i := range 100 {
			var w wish
			a, last := Affinity{Hash: key(i), Hashed: true}, ""
			for n := range 6 {
				w.attempt(a)
				ch, err := c.Pick(&w)
				if err != nil {
					t.Fatalf("%s: attempt %d: %v", name, n, err)
				}
				if n == 1 && ch.Endpoint.Addr == last {
					t.Fatalf("%s: the second attempt is at %s again", name, last)
				}
				last = ch.Endpoint.Addr
				ch.Done()
			}
		}
		one := balanced(t, lb, addresses(1))
		var w wish
		for range 5 {
			w.attempt(Affinity{})
			if _, err := one.Pick(&w); err != nil {
				t.Fatalf("%s: where there is one endpoint: %v", name, err)
			}
		}
		at, s := c.set.Load().fit[1].Addr, wish{}
		for range 3 {
			s.attempt(Affinity{Session: at})
			if ch, err := c.Pick(&s); err != nil || ch.Endpoint.Addr != at {
				t.Fatalf("%s: a session at %s went on at %v, %v", name, at, ch.Endpoint, err)
			}
		}
	}
}

func TestEndpointsThatAreNotFitAreNotPicked(t *testing.T) {
	for name, lb := range algorithms {
		list := addresses(4)
		list[0].Draining = true
		c := balanced(t, lb, list)
		c.mu.Lock()
		c.list[1].sick = true
		c.list[2].ejected = time.Now().Add(time.Hour)
		c.rebuild()
		c.mu.Unlock()
		if got := picks(t, c, 200, key); got["10.0.0.4:80"] != 200 {
			t.Errorf("%s: %v", name, got)
		}
		c.mu.Lock()
		c.list[3].sick = true // none is left: all but the draining one are used
		c.rebuild()
		c.mu.Unlock()
		if got := picks(t, c, 3000, key); len(got) != 3 || got["10.0.0.1:80"] > 0 {
			t.Errorf("%s in panic: %v", name, got)
		}
	}
}

func TestWithTooFewFitAllAreUsed(t *testing.T) {
	c := balanced(t, &xdsv1.LoadBalancing{MinHealthyPercent: 50}, addresses(4))
	for i, want := range []int{3, 2, 4} {
		c.mu.Lock()
		c.list[i].sick = true
		c.rebuild()
		c.mu.Unlock()
		if got := picks(t, c, 100, nil); len(got) != want {
			t.Errorf("%d sick: %d are used, not %d", i+1, len(got), want)
		}
	}
}

func TestDrainingEndpointsAreTheLastResort(t *testing.T) {
	list := addresses(2)
	list[0].Draining, list[1].Draining = true, true
	if got := picks(t, balanced(t, nil, list), 100, nil); len(got) != 2 {
		t.Errorf("%v", got)
	}
}

func TestHintsKeepTrafficInTheZone(t *testing.T) {
	list := addresses(3)
	for i, zone := range []string{"a", "a", "b"} {
		list[i].ForZones = []string{zone}
	}
	f := func(zone string, list []*xdsv1.Endpoint, want int) {
		t.Helper()
		c := NewCluster(Config{Zone: zone})
		t.Cleanup(c.Close)
		c.SetEndpoints(list)
		if got := picks(t, c, 300, nil); len(got) != want {
			t.Errorf("zone %q: %v", zone, got)
		}
	}
	f("a", list, 2)
	f("b", list, 1)
	f("c", list, 3)
	f("", list, 3)
	list[2].ForZones = nil
	f("a", list, 3)
}

func TestNewEndpointsStartSlowly(t *testing.T) {
	for name, lb := range algorithms {
		if lb.Hash != nil {
			continue
		}
		c := balanced(t, &xdsv1.LoadBalancing{Policy: lb.Policy, SlowStart: durationpb.New(time.Hour)}, addresses(3))
		if got := picks(t, c, 3000, nil); got["10.0.0.3:80"] < 700 {
			t.Errorf("%s: the first endpoints start slowly: %v", name, got)
		}
		c.SetEndpoints(addresses(4))
		if got := picks(t, c, 3100, nil)["10.0.0.4:80"]; got < 30 || got > 300 {
			t.Errorf("%s: the new one has %d of 3100 requests, not about 100", name, got)
		}
		c.mu.Lock()
		c.list[3].since.Store(time.Now().Add(-30 * time.Minute).UnixNano())
		c.rebuild()
		c.mu.Unlock()
		if got := picks(t, c, 3500, nil)["10.0.0.4:80"]; got < 300 || got > 700 {
			t.Errorf("%s: at half time it has %d of 3500 requests, not about 500", name, got)
		}
	}
}

func TestSessionsStay(t *testing.T) {
	list := addresses(5)
	list[4].Draining = true
	c := balanced(t, nil, list)
	f := func(session string, stays bool) {
		t.Helper()
		for range 20 {
			ch, err := c.Pick(&wish{Affinity: Affinity{Session: session}})
			if err != nil {
				t.Fatal(err)
			}
			ch.Done()
			if (ch.Endpoint.Addr == session) != stays && stays {
				t.Fatalf("session of %s at %s", session, ch.Endpoint.Addr)
			}
		}
	}
	f("10.0.0.2:80", true)
	f("10.0.0.5:80", true) // draining: it may end
	f("10.9.9.9:80", false)
	c.mu.Lock()
	c.list[1].sick = true
	c.rebuild()
	c.mu.Unlock()
	if got := picks(t, c, 10, nil); got["10.0.0.2:80"] > 0 {
		t.Error("a sick endpoint is picked")
	}
}

func TestHashKeys(t *testing.T) {
	x := exchange.Acquire(t.Context(), nil)
	defer exchange.Release(x)
	x.Req.Set("X-User", "ann")
	x.Req.SetHost("a.example")
	x.Req.SetCookie("sid", "1")
	x.Client = netip.MustParseAddrPort("192.0.2.1:4000")
	f := func(h *xdsv1.HashKey, hashed bool) {
		t.Helper()
		c := NewCluster(Config{LoadBalancing: &xdsv1.LoadBalancing{Policy: xdsv1.LoadBalancing_CONSISTENT_HASH, Hash: h}})
		defer c.Close()
		if a := c.Affinity(x); a.Hashed != hashed {
			t.Errorf("%v: hashed %t", h, a.Hashed)
		}
		if n := testing.AllocsPerRun(100, func() { c.Affinity(x) }); n > 0 {
			t.Errorf("%v: %v allocations", h, n)
		}
	}
	f(&xdsv1.HashKey{Source: xdsv1.HashKey_SOURCE_IP}, true)
	f(&xdsv1.HashKey{Source: xdsv1.HashKey_HOSTNAME}, true)
	f(&xdsv1.HashKey{Source: xdsv1.HashKey_HEADER, Name: "x-user"}, true)
	f(&xdsv1.HashKey{Source: xdsv1.HashKey_HEADER, Name: "x-other"}, false)
	f(&xdsv1.HashKey{Source: xdsv1.HashKey_COOKIE, Name: "sid"}, true)
	f(&xdsv1.HashKey{Source: xdsv1.HashKey_COOKIE, Name: "other"}, false)
	f(nil, false)
}

func TestPicksDoNotAllocate(t *testing.T) {
	for name, lb := range algorithms {
		c := balanced(t, &xdsv1.LoadBalancing{Policy: lb.Policy, Hash: lb.Hash, MaxRequests: 100, MaxInFlight: 100, SlowStart: durationpb.New(time.Hour)}, addresses(10))
		c.SetEndpoints(addresses(11))
		var w wish
		if n := testing.AllocsPerRun(1000, func() {
			w = wish{Affinity: Affinity{Hash: w.Hash + 1, Hashed: true}}
			ch, err := c.Pick(&w)
			if err != nil {
				t.Fatal(err)
			}
			ch.Done()
		}); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for name, lb := range algorithms {
		b.Run(name, func(b *testing.B) {
			c := balanced(b, lb, addresses(50))
			b.RunParallel(func(pb *testing.PB) {
				var w wish
				for h := uint64(0); pb.Next(); h++ {
					w = wish{Affinity: Affinity{Hash: h, Hashed: true}}
					ch, _ := c.Pick(&w)
					ch.Done()
				}
			})
		})
	}
}

func call() *Call {
	return &Call{Method: []byte("GET"), Path: []byte("/"), Host: []byte("test.example"), Header: &fasthttp.RequestHeader{}, Resp: &fasthttp.ResponseHeader{}, RespTrailer: new(exchange.Trailer)}
}
