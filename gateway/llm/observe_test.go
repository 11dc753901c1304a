package llm

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/ai"
	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// recorder counts what is observed, by target.
type recorder struct {
	mu sync.Mutex
	n  map[string]int
}

type recorderMeter struct {
	r    *recorder
	name string
}

func (r *recorder) Target(provider, model string) Meter {
	return recorderMeter{r, provider + " " + model + " "}
}

func (m recorderMeter) add(what string, n int) {
	m.r.mu.Lock()
	defer m.r.mu.Unlock()
	m.r.n[m.name+what] += n
}

func (m recorderMeter) Attempt(outcome string, _ time.Duration) { m.add(outcome, 1) }
func (m recorderMeter) Fallback()                               { m.add("fallback", 1) }
func (m recorderMeter) FirstToken(time.Duration)                { m.add("first", 1) }
func (m recorderMeter) BetweenTokens(time.Duration)             { m.add("between", 1) }
func (m recorderMeter) OpenStreams(delta int) {
	m.add("open", delta)
	if delta > 0 {
		m.add("opened", delta)
	}
}
func (m recorderMeter) Unpriced()            { m.add("unpriced", 1) }
func (m recorderMeter) Learned(float64, int) { m.add("learned", 1) }
func (m recorderMeter) Tokens(u *ai.Usage, cost int64) {
	m.add("output", u.Output)
	m.add("cost", int(cost))
}

func TestCost(t *testing.T) {
	f := func(u ai.Usage, want int64) {
		t.Helper()
		// 3 dollars a million tokens of input, 0.30 cached, 3.75 written to the cache, 15 of output.
		if got := cost(&u, &xdsv1.Price{Input: 3e9, CachedInput: 3e8, CacheWrite: 375e7, Output: 15e9}); got != want {
			t.Errorf("%+v: got %d, want %d", u, got, want)
		}
	}
	f(ai.Usage{}, 0)
	f(ai.Usage{Input: 1_000_000}, 3e9)
	f(ai.Usage{Input: 1000, CachedInput: 400, CacheWrite: 100, Output: 10, Reasoning: 5}, 500*3000+400*300+100*3750+10*15000)
	f(ai.Usage{Input: 10, CachedInput: 20}, 20*300)
	if got := cost(&ai.Usage{Input: 1, Output: 1}, &xdsv1.Price{Input: 1}); got != 1 {
		t.Errorf("a part of a billionth: got %d, want 1", got)
	}
	if got := cost(&ai.Usage{Input: 1, Output: 1}, nil); got != 0 {
		t.Errorf("without a price: got %d", got)
	}
}

func TestObserver(t *testing.T) {
	f := func(stream bool, script1, script2 string, want map[string]int) {
		t.Helper()
		r := &recorder{n: map[string]int{}}
		scripts := map[string]func() *vendor{
			"429":   func() *vendor { return newVendor(t, status(429)) },
			"whole": func() *vendor { return newVendor(t, jsonBody(completed)) },
			"events": func() *vendor {
				return newVendor(t, events(roleChunk, textChunk("Hello"), "@wait:200ms", textChunk(" there"), "@wait:200ms", stopChunk, usage, doneMark))
			},
			"cut": func() *vendor { return newVendor(t, events(roleChunk, textChunk("Hello"), "@cut")) },
		}
		g := newGateway(t, Options{Observer: r})
		g.serve(inOrder(g.openAI("a", scripts[script1]()), g.openAI("b", scripts[script2]())))
		body := hello
		if stream {
			body = streamed(hello)
		}
		g.chat(body).want(t, 200)
		for k, n := range r.n {
			if n == 0 {
				delete(r.n, k)
			}
		}
		if fmt.Sprint(r.n) != fmt.Sprint(want) {
			t.Errorf("got  %v\nwant %v", r.n, want)
		}
	}
	f(false, "429", "whole", map[string]int{"ai/a gpt-x rate_limited": 1, "ai/b gpt-x fallback": 1, "ai/b gpt-x ok": 1, "ai/b gpt-x output": 2, "ai/b gpt-x unpriced": 1})
	f(true, "429", "events", map[string]int{
		"ai/a gpt-x rate_limited": 1, "ai/a gpt-x opened": 1, "ai/b gpt-x fallback": 1, "ai/b gpt-x ok": 1,
		"ai/b gpt-x opened": 1, "ai/b gpt-x first": 1, "ai/b gpt-x between": 2, "ai/b gpt-x learned": 1, "ai/b gpt-x output": 2, "ai/b gpt-x unpriced": 1,
	})
	f(true, "cut", "events", map[string]int{"ai/a gpt-x connect": 1, "ai/a gpt-x opened": 1, "ai/a gpt-x first": 1, "ai/a gpt-x output": 1, "ai/a gpt-x unpriced": 1})
}

// TestLabelsAreBounded: names that clients make up are not labels.
func TestLabelsAreBounded(t *testing.T) {
	r := &recorder{n: map[string]int{}}
	g := newGateway(t, Options{Observer: r})
	p := g.openAI("a", newVendor(t, jsonBody(completed)), func(p *xdsv1.Provider) { p.Models = []*xdsv1.ProviderModel{{Name: "known"}} })
	g.compile(p.Key)
	for _, name := range []string{"made-up-1", "made-up-2", "known"} {
		g.chat(`{"model":"`+name+`","messages":[{"role":"user","content":"Hi"}]}`).want(t, 200)
	}
	if r.n["ai/a * ok"] != 2 || r.n["ai/a known ok"] != 1 {
		t.Errorf("%v", r.n)
	}
}
