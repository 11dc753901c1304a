package limit

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// call is a model call of fixed size.
type call struct{ input, max, price int64 }

func (c call) Input() int64                   { return c.input }
func (c call) MaxOutput() int64               { return c.max }
func (c call) Cost(input, output int64) int64 { return c.price * (input + output) }

func newLimits(t testing.TB, o Options) *Limits {
	t.Helper()
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(context.Background()) })
	return l
}

func minute(name string, unit xdsv1.LimitUnit, limit int64, key ...*xdsv1.LimitKey) *xdsv1.Limit {
	return &xdsv1.Limit{Name: name, Unit: unit, Limit: limit, Key: key, Window: &xdsv1.Limit_Sliding{Sliding: durationpb.New(time.Minute)}}
}

func tokenPolicy(name string, p *xdsv1.TokenLimit) *xdsv1.Policy {
	return &xdsv1.Policy{Key: xdsv1.PolicyKey(xdsv1.PolicyToken, "ai", name), Namespace: "ai", Name: name, Kind: &xdsv1.Policy_TokenLimit{TokenLimit: p}}
}

func sets(t testing.TB, l *Limits, ps ...*xdsv1.Policy) (*Set, *Set) {
	t.Helper()
	once, each, err := l.Sets(ps)
	if err != nil {
		t.Fatal(err)
	}
	return once, each
}

func subject(t testing.TB, header ...string) *Subject {
	x := exchange.Acquire(context.Background(), nil)
	t.Cleanup(func() { exchange.Release(x) })
	for i := 0; i+1 < len(header); i += 2 {
		x.Req.Add(header[i], header[i+1])
	}
	x.Client = netip.MustParseAddrPort("192.0.2.1:1234")
	return &Subject{X: x, Model: "smart"}
}

func key(s xdsv1.LimitKey_Source, name ...string) *xdsv1.LimitKey {
	return &xdsv1.LimitKey{Source: s, Name: strings.Join(name, "")}
}

func TestUnits(t *testing.T) {
	f := func(unit xdsv1.LimitUnit, limit int64, c call, used Usage, first, after int64) {
		t.Helper()
		l := newLimits(t, Options{})
		set, _ := sets(t, l, tokenPolicy("p", &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{minute("a", unit, limit)}}))
		lease, refused := l.Reserve(set, subject(t), c, true)
		if refused != nil {
			t.Fatal(refused.Message)
		}
		if got := lease.charges[0].held; got != first {
			t.Errorf("%s: reserved %d, expected %d", unit, got, first)
		}
		lease.Settle(used)
		lease.Settle(Usage{Output: 1e6}) // nothing happens
		if got := lease.charges[0].state.Remaining; got != limit-after {
			t.Errorf("%s: %d left, expected %d", unit, got, limit-after)
		}
		r, err := l.Look(context.Background(), Query{})
		if want := lease.charges[0].limit.digits(after); err != nil || r.Buckets[0].Used != want {
			t.Errorf("%s: the store has %v, %v, expected %s", unit, r, err, want)
		}
	}
	c := call{input: 10, max: 100, price: 7}
	used := Usage{Requests: 1, Input: 12, Output: 30, Cost: 500}
	f(xdsv1.LimitUnit_REQUESTS, 100, c, used, 1, 1)
	f(xdsv1.LimitUnit_TOKENS, 1000, c, used, 110, 42)
	f(xdsv1.LimitUnit_INPUT_TOKENS, 100, c, used, 10, 12)
	f(xdsv1.LimitUnit_OUTPUT_TOKENS, 1000, c, used, 100, 30)
	f(xdsv1.LimitUnit_COST, 1000, c, used, 770, 500)
	// What may be generated is bounded by the limit, and by what is known of nobody.
	f(xdsv1.LimitUnit_TOKENS, 50, c, used, 50, 42)
	f(xdsv1.LimitUnit_OUTPUT_TOKENS, 10000, call{max: -1}, used, unknownOutput, 30)
	f(xdsv1.LimitUnit_COST, 400, c, Usage{Cost: 300}, 400, 300)
}

func TestRefusals(t *testing.T) {
	l := newLimits(t, Options{})
	set, _ := sets(t, l, tokenPolicy("p", &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{
		minute("tokens", xdsv1.LimitUnit_TOKENS, 100), minute("day", xdsv1.LimitUnit_COST, 5_000_000_000)}}))
	if _, r := l.Reserve(set, subject(t), call{input: 101}, true); r == nil || !r.Never || r.Status != 429 || r.RetryAfter != 0 {
		t.Errorf("too large: %+v", r)
	}
	lease, r := l.Reserve(set, subject(t), call{input: 70}, true)
	if r != nil {
		t.Fatal(r.Message)
	}
	_, r = l.Reserve(set, subject(t), call{input: 31}, true)
	if r == nil || r.Status != http.StatusTooManyRequests || r.Limit != "ai/p/tokens" || r.RetryAfter <= 0 || r.RetryAfter > 63*time.Second || r.Shown.Tokens.Remaining != 30 {
		t.Fatalf("%+v", r)
	}
	if want := `limit "tokens" of TokenPolicy ai/p: 30 tokens of 100 tokens per 1m0s left, and this request needs about 31 tokens; try again in`; !strings.HasPrefix(r.Message, want) {
		t.Errorf("%s", r.Message)
	}
	lease.Release()
	if lease, r = l.Reserve(set, subject(t), call{input: 100}, true); r != nil {
		t.Error("what was released is not there: " + r.Message)
	}
	lease.Release()
}

// A policy that another limit of the request refuses keeps nothing.
func TestAllOrNone(t *testing.T) {
	l := newLimits(t, Options{})
	set, _ := sets(t, l,
		tokenPolicy("a", &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{minute("many", xdsv1.LimitUnit_REQUESTS, 100)}}),
		tokenPolicy("b", &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{minute("none", xdsv1.LimitUnit_REQUESTS, 0)}}))
	for range 3 {
		if _, r := l.Reserve(set, subject(t), call{}, true); r == nil || r.Limit != "ai/b/none" || !r.Never {
			t.Fatalf("%+v", r)
		}
	}
	r, err := l.Look(context.Background(), Query{Policy: "ai/a"})
	if err != nil || r.Buckets[0].Used != "0" {
		t.Errorf("%v %v", r, err)
	}
}

func TestMoreBucketsThanAReservationTakes(t *testing.T) {
	l := newLimits(t, Options{})
	var ps []*xdsv1.Policy
	for i := range 5 {
		p := &xdsv1.TokenLimit{}
		for k := range 16 {
			p.Limits = append(p.Limits, minute(fmt.Sprint("l", k), xdsv1.LimitUnit_REQUESTS, 2))
		}
		ps = append(ps, tokenPolicy(fmt.Sprint("p", i), p))
	}
	set, _ := sets(t, l, ps...)
	for range 2 {
		lease, r := l.Reserve(set, subject(t), call{}, true)
		if r != nil {
			t.Fatal(r.Message)
		}
		lease.Settle(Usage{Requests: 1})
	}
	if _, r := l.Reserve(set, subject(t), call{}, true); r == nil {
		t.Error("there is room for a third")
	}
}

func TestKeys(t *testing.T) {
	f := func(k *xdsv1.LimitKey, same bool, a, b func(*Subject)) {
		t.Helper()
		l := newLimits(t, Options{Trusted: trusted("10.0.0.0/8")})
		once, each := sets(t, l, tokenPolicy("p", &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{minute("a", xdsv1.LimitUnit_REQUESTS, 1, k)}}))
		set := once.With0(each)
		one, two := subject(t), subject(t)
		a(one)
		b(two)
		if _, r := l.Reserve(set, one, call{}, true); r != nil {
			t.Fatal(r.Message)
		}
		_, r := l.Reserve(set, two, call{}, true)
		if (r != nil) != same {
			t.Errorf("%s: one bucket for both is %v, expected %v", k, r != nil, same)
		}
	}
	model := func(m string) func(*Subject) { return func(s *Subject) { s.Model = m } }
	f(key(xdsv1.LimitKey_MODEL), true, model("a"), model("a"))
	f(key(xdsv1.LimitKey_MODEL), false, model("a"), model("b"))
	f(key(xdsv1.LimitKey_PROVIDER), false, func(s *Subject) { s.Provider = "ai/a" }, func(s *Subject) { s.Provider = "ai/b" })
	f(key(xdsv1.LimitKey_USER), false, func(s *Subject) { s.User = "a" }, func(*Subject) {})
	f(key(xdsv1.LimitKey_ROUTE), false, func(s *Subject) { s.X.Route = &exchange.RouteInfo{Route: "a/b"} }, func(*Subject) {})
	head := func(v ...string) func(*Subject) {
		return func(s *Subject) {
			for _, v := range v {
				s.X.Req.Add("X-Team", v)
			}
		}
	}
	f(key(xdsv1.LimitKey_HEADER, "x-team"), true, head("a"), head("a"))
	f(key(xdsv1.LimitKey_HEADER, "x-team"), false, head("a"), head("a", "b"))
	from := func(ip string, forwarded ...string) func(*Subject) {
		return func(s *Subject) {
			s.X.Client = netip.AddrPortFrom(netip.MustParseAddr(ip), 1)
			for _, v := range forwarded {
				s.X.Req.Add("X-Forwarded-For", v)
			}
		}
	}
	f(key(xdsv1.LimitKey_CLIENT_IP), false, from("192.0.2.1"), from("192.0.2.2"))
	f(key(xdsv1.LimitKey_CLIENT_IP), true, from("192.0.2.1", "1.1.1.1"), from("192.0.2.1", "2.2.2.2")) // nobody trusts it
	f(key(xdsv1.LimitKey_CLIENT_IP), false, from("10.0.0.1", "1.1.1.1"), from("10.0.0.1", "2.2.2.2"))
	f(key(xdsv1.LimitKey_CLIENT_IP), true, from("10.0.0.1", "9.9.9.9, 1.1.1.1"), from("10.0.0.2", "1.1.1.1", "10.1.1.1")) // what clients claim themselves
	f(key(xdsv1.LimitKey_CLIENT_IP), true, from("10.0.0.1", "nonsense"), from("10.0.0.1"))
	f(key(xdsv1.LimitKey_CLIENT_IP), true, from("2001:db8::1"), from("2001:db8::ffff"))
	f(key(xdsv1.LimitKey_CLIENT_IP), false, from("2001:db8::1"), from("2001:db8:0:1::1"))
	f(key(xdsv1.LimitKey_CLIENT_IP), true, from("::ffff:192.0.2.1"), from("192.0.2.1"))
	id := func(i exchange.Identity) func(*Subject) { return func(s *Subject) { s.X.Identity = &i } }
	f(key(xdsv1.LimitKey_API_KEY), false, id(exchange.Identity{APIKey: "a/x"}), id(exchange.Identity{APIKey: "a/y"}))
	claims := func(v any) func(*Subject) {
		return id(exchange.Identity{Issuer: "i", Claims: map[string]any{"a": map[string]any{"b": v}, "https://x.y/z": v}})
	}
	f(key(xdsv1.LimitKey_JWT_CLAIM, "a.b"), false, claims("1"), claims("2"))
	f(key(xdsv1.LimitKey_JWT_CLAIM, "a.b"), true, claims([]any{"1"}), claims([]any{"1"}))
	f(key(xdsv1.LimitKey_JWT_CLAIM, "https://x.y/z"), false, claims("1"), claims(json.Number("1")))
	f(key(xdsv1.LimitKey_JWT_CLAIM, "a.b"), false, claims(json.Number("9007199254740993")), claims(json.Number("9007199254740992")))
	f(key(xdsv1.LimitKey_JWT_CLAIM, "sub"), false, id(exchange.Identity{Issuer: "i", Claims: map[string]any{"sub": "s"}}), id(exchange.Identity{Issuer: "j", Claims: map[string]any{"sub": "s"}}))
}

// With0 is With for a set that may be nil.
func (s *Set) With0(o *Set) *Set {
	if s == nil {
		return o
	}
	return s.With(o)
}

func trusted(cidr string) *exchange.Proxies {
	var p exchange.Proxies
	p.Set([]netip.Prefix{netip.MustParsePrefix(cidr)})
	return &p
}

func TestWithoutIdentity(t *testing.T) {
	f := func(k *xdsv1.LimitKey, i *exchange.Identity, status int, says string) {
		t.Helper()
		l := newLimits(t, Options{})
		set, _ := sets(t, l, tokenPolicy("p", &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{minute("a", xdsv1.LimitUnit_REQUESTS, 1, k)}}))
		s := subject(t)
		s.X.Identity = i
		_, r := l.Reserve(set, s, call{}, true)
		if r == nil || r.Status != status || !strings.Contains(r.Message, says) {
			t.Errorf("%s: %+v", k, r)
		}
	}
	f(key(xdsv1.LimitKey_API_KEY), nil, 401, `limit "a" of TokenPolicy ai/p: it is counted by an API key`)
	f(key(xdsv1.LimitKey_API_KEY), &exchange.Identity{Subject: "s"}, 403, "by an API key")
	f(key(xdsv1.LimitKey_JWT_CLAIM, "team"), nil, 401, `by a token with the claim "team"`)
	f(key(xdsv1.LimitKey_JWT_CLAIM, "team"), &exchange.Identity{Claims: map[string]any{"sub": "s", "team": nil}}, 403, `"team"`)
	f(key(xdsv1.LimitKey_JWT_CLAIM, "team.a"), &exchange.Identity{Claims: map[string]any{"team": "s"}}, 403, `"team.a"`)
}

func TestModelSelectors(t *testing.T) {
	l := newLimits(t, Options{})
	opus := minute("opus", xdsv1.LimitUnit_REQUESTS, 0)
	opus.Models = []string{"claude-opus-*", "exact"}
	set, _ := sets(t, l, tokenPolicy("p", &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{opus}}))
	f := func(model string, counts bool) {
		t.Helper()
		s := subject(t)
		s.Model = model
		lease, r := l.Reserve(set, s, call{}, true)
		if (r != nil) != counts || lease != nil {
			t.Errorf("%s: %+v", model, r)
		}
	}
	f("claude-opus-4", true)
	f("claude-opus", false)
	f("exact", true)
	f("exactly", false)
}

// No text of a client is in what goes to the store.
func TestKeysHoldNoText(t *testing.T) {
	l := newLimits(t, Options{})
	set, _ := sets(t, l, tokenPolicy("p", &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{
		minute("a", xdsv1.LimitUnit_REQUESTS, 9, key(xdsv1.LimitKey_HEADER, "x-team"), key(xdsv1.LimitKey_USER))}}))
	s := subject(t, "X-Team", strings.Repeat("secret", 1000))
	s.User = "someone"
	lease, r := l.Reserve(set, s, call{}, true)
	if r != nil {
		t.Fatal(r.Message)
	}
	lease.Settle(Usage{Requests: 1})
	if k := lease.charges[0].key; strings.Contains(k, "secret") || strings.Contains(k, "someone") || len(k) > 100 {
		t.Error(k)
	}
	got, err := l.Look(context.Background(), Query{Policy: "ai/p", Limit: "a", Values: []string{strings.Repeat("secret", 1000), "someone"}})
	if err != nil || got.Buckets[0].Used != "1" {
		t.Errorf("%+v %v", got, err)
	}
	if got, err = l.Look(context.Background(), Query{}); err != nil || len(got.Buckets) != 1 || got.Buckets[0].Used != "1" || len(got.Buckets[0].Hash) != 32 {
		t.Errorf("%+v %v", got, err)
	}
	if _, err = l.Look(context.Background(), Query{Policy: "ai/p", Limit: "a", Values: []string{"one"}}); err == nil || !strings.Contains(err.Error(), "HEADER x-team, USER") {
		t.Error(err)
	}
}

func TestWarn(t *testing.T) {
	l := newLimits(t, Options{})
	set, _ := sets(t, l, tokenPolicy("p", &xdsv1.TokenLimit{OnLimit: xdsv1.TokenLimit_WARN, FailureMode: xdsv1.TokenLimit_CLOSED,
		Limits: []*xdsv1.Limit{minute("a", xdsv1.LimitUnit_REQUESTS, 2)}}))
	for i := range 4 {
		lease, r := l.Reserve(set, subject(t), call{}, true)
		if r != nil {
			t.Fatal(r.Message)
		}
		if got := fmt.Sprint(lease.Warned()); (got == "[ai/p/a]") != (i >= 2) {
			t.Errorf("%d: %s", i, got)
		}
		if s := lease.Show(); s.Requests.Limit != 2 || s.Requests.Remaining != int64(max(0, 1-i)) {
			t.Errorf("%d: %+v", i, s.Requests)
		}
		lease.Settle(Usage{Requests: 1})
	}
}

// A client that always asks for 128,000 tokens and uses few of them has at least 90 per cent of its limit to use.
func TestMaxTokensDoNotUseTheLimitUp(t *testing.T) {
	const limit, clients = 100_000, 8
	l := newLimits(t, Options{})
	set, _ := sets(t, l, tokenPolicy("p", &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{minute("a", xdsv1.LimitUnit_TOKENS, limit)}}))
	var used atomic.Int64
	var all sync.WaitGroup
	for n := range clients {
		random := rand.New(rand.NewPCG(uint64(n), 1))
		all.Go(func() {
			for {
				lease, r := l.Reserve(set, subject(t), call{input: 50, max: 128_000}, true)
				if r != nil {
					return
				}
				u := Usage{Requests: 1, Input: 50, Output: 50 + random.Int64N(200)}
				lease.Settle(u)
				used.Add(u.Input + u.Output)
			}
		})
	}
	all.Wait()
	// The last calls may generate more than most did, which is what was reserved.
	if got := used.Load(); got < limit*9/10 || got > limit+clients*200 {
		t.Errorf("used %d of %d", got, limit)
	}
}

func TestLearner(t *testing.T) {
	l := newLearner()
	id := l.id("b", "m")
	if _, known := l.expect(id); known {
		t.Error("known")
	}
	expect := func(want int64) {
		t.Helper()
		if got, _ := l.expect(id); got != want {
			t.Errorf("got %d, expected %d", got, want)
		}
	}
	l.observe(id, 7)
	expect(7)
	for i := range 100 {
		l.observe(id, int64(i%10)*10)
	}
	expect(80)
	for range samples {
		l.observe(id, 5)
	}
	expect(5) // what was long ago is forgotten
	for i := range 2 * maxLearned {
		l.observe(l.id("", fmt.Sprint(i)), 1)
	}
	if n := l.len(); n > maxLearned {
		t.Errorf("%d are remembered", n)
	}
}

func TestQueueIsFirstComeFirstServed(t *testing.T) {
	l := newLimits(t, Options{})
	set, _ := sets(t, l, tokenPolicy("p", &xdsv1.TokenLimit{OnLimit: xdsv1.TokenLimit_QUEUE,
		Queue:  &xdsv1.LimitQueue{Size: 5, Timeout: durationpb.New(time.Minute)},
		Limits: []*xdsv1.Limit{minute("a", xdsv1.LimitUnit_TOKENS, 10)}}))
	first, r := l.Reserve(set, subject(t), call{input: 10}, true)
	if r != nil {
		t.Fatal(r.Message)
	}
	served := make(chan int, 5)
	var all sync.WaitGroup
	for i := range 5 {
		all.Go(func() {
			lease, r := l.Reserve(set, subject(t), call{input: 10}, true)
			if r != nil {
				t.Error(r.Message)
				return
			}
			served <- i
			lease.Settle(Usage{}) // leaves room for the next
		})
		until(t, func() bool { return l.queues.waiting.Load() == int64(i+1) })
	}
	if _, r := l.Reserve(set, subject(t), call{input: 1}, true); r == nil || r.Status != 429 {
		t.Errorf("a sixth waits: %+v", r)
	}
	if _, r := l.Reserve(set, subject(t), call{input: 1}, false); r == nil || !r.Wait {
		t.Errorf("one that does not wait: %+v", r)
	}
	first.Settle(Usage{})
	all.Wait()
	for i := range 5 {
		if got := <-served; got != i {
			t.Errorf("served %d, expected %d", got, i)
		}
	}
	if len(l.queues.of) != 0 {
		t.Error("queues are left")
	}
}

func until(t testing.TB, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("after 30 s it is not so")
		}
	}
}

func TestQueueEnds(t *testing.T) {
	f := func(timeout time.Duration, end func(l *Limits, leave func()), status int, left bool) {
		t.Helper()
		l := newLimits(t, Options{})
		set, _ := sets(t, l, tokenPolicy("p", &xdsv1.TokenLimit{OnLimit: xdsv1.TokenLimit_QUEUE,
			Queue:  &xdsv1.LimitQueue{Timeout: durationpb.New(timeout)},
			Limits: []*xdsv1.Limit{minute("a", xdsv1.LimitUnit_REQUESTS, 1)}}))
		if _, r := l.Reserve(set, subject(t), call{}, true); r != nil {
			t.Fatal(r.Message)
		}
		ctx, leave := context.WithCancel(context.Background())
		defer leave()
		x := exchange.Acquire(ctx, nil)
		defer exchange.Release(x)
		done := make(chan *Refusal, 1)
		go func() {
			_, r := l.Reserve(set, &Subject{X: x, Model: "m"}, call{}, true)
			done <- r
		}()
		until(t, func() bool { return l.queues.waiting.Load() == 1 || len(done) == 1 })
		end(l, leave)
		select {
		case r := <-done:
			if r == nil || r.Status != status || r.Left != left {
				t.Errorf("%+v", r)
			}
		case <-time.After(30 * time.Second):
			t.Error("it still waits")
		}
		if l.queues.waiting.Load() != 0 {
			t.Error("somebody waits")
		}
	}
	f(time.Millisecond, func(*Limits, func()) {}, 429, false)
	f(time.Hour, func(_ *Limits, leave func()) { leave() }, 429, true)
	f(time.Hour, func(l *Limits, _ func()) { l.StopWaiting() }, 503, false)
}

func TestAllowsUpToTheLimit(t *testing.T) {
	l := newLimits(t, Options{})
	set, _ := sets(t, l, tokenPolicy("p", &xdsv1.TokenLimit{OnStream: xdsv1.TokenLimit_CUT, Limits: []*xdsv1.Limit{
		minute("a", xdsv1.LimitUnit_TOKENS, 1000), minute("b", xdsv1.LimitUnit_REQUESTS, 1)}}))
	lease, r := l.Reserve(set, subject(t), call{input: 100, max: 50}, true)
	if r != nil {
		t.Fatal(r.Message)
	}
	if !lease.Covers(Usage{Requests: 1, Input: 100, Output: 49}) || lease.Covers(Usage{Requests: 1, Input: 100, Output: 50}) {
		t.Error("what was reserved is not covered")
	}
	output := int64(0)
	for ; output < 2000; output++ {
		if ok, at := lease.Allows(Usage{Requests: 1, Input: 100, Output: output}); !ok {
			if at != "ai/p/a" {
				t.Error(at)
			}
			break
		}
	}
	if output != 900 {
		t.Errorf("ended after %d tokens of 900", output)
	}
	lease.Settle(Usage{Requests: 1, Input: 100, Output: 900})
	got, err := l.Look(context.Background(), Query{})
	if err != nil || got.Buckets[0].Used != "1000" || got.Buckets[1].Used != "1" {
		t.Errorf("%+v %v", got, err)
	}
}

func TestPoliciesAreReused(t *testing.T) {
	l := newLimits(t, Options{})
	a := tokenPolicy("p", &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{minute("a", xdsv1.LimitUnit_REQUESTS, 1)}})
	b := tokenPolicy("p", &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{minute("a", xdsv1.LimitUnit_REQUESTS, 1)}})
	first, _ := sets(t, l, a, a)
	second, _ := sets(t, l, b)
	if len(first.limits) != 1 || first.limits[0] != second.limits[0] {
		t.Error("made anew")
	}
	l.Keep(map[string]*xdsv1.Resource{})
	if len(l.policies) != 0 {
		t.Error("kept")
	}
}

func TestClaimFuzz(t *testing.T) {
	for _, name := range []string{"", ".", "a.", ".a", "a.b.c.d", strings.Repeat(".", 100)} {
		if _, ok := appendClaim(nil, map[string]any{"a": map[string]any{"b": "c"}}, name); ok {
			t.Errorf("%q is a claim", name)
		}
	}
}

func BenchmarkReserveSettle(b *testing.B) {
	l := newLimits(b, Options{})
	set, _ := sets(b, l, tokenPolicy("p", &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{
		minute("a", xdsv1.LimitUnit_TOKENS, 1<<50, key(xdsv1.LimitKey_HEADER, "X-Team")), minute("b", xdsv1.LimitUnit_REQUESTS, 1<<50)}}))
	s := subject(b, "X-Team", "blue")
	b.ReportAllocs()
	for b.Loop() {
		lease, r := l.Reserve(set, s, call{input: 100, max: 50}, true)
		if r != nil {
			b.Fatal(r.Message)
		}
		lease.Settle(Usage{Requests: 1, Input: 100, Output: 50})
	}
}

// A guard against allocations that creep in: what is left are the lease, its lists and what the store hands out.
func TestReserveAllocatesLittle(t *testing.T) {
	l := newLimits(t, Options{})
	set, _ := sets(t, l, tokenPolicy("p", &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{minute("a", xdsv1.LimitUnit_TOKENS, 1<<50), minute("b", xdsv1.LimitUnit_REQUESTS, 1<<50)}}))
	s := subject(t)
	got := testing.AllocsPerRun(1000, func() {
		lease, r := l.Reserve(set, s, call{input: 100, max: 50}, true)
		if r != nil {
			t.Fatal(r.Message)
		}
		lease.Settle(Usage{Requests: 1, Input: 100, Output: 50})
	})
	if got > 12 {
		t.Errorf("%v allocations for a call, want 12 at most", got)
	}
}
