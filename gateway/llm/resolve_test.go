package llm

import (
	"strings"
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

func TestNames(t *testing.T) {
	v := newVendor(t, jsonBody(completed))
	g := newGateway(t, Options{})
	p := g.openAI("a", v, func(p *xdsv1.Provider) {
		p.Models = []*xdsv1.ProviderModel{{Name: "gpt-a"}, {Name: "ft-b"}}
	})
	model := func(name, target string) *xdsv1.Model {
		return &xdsv1.Model{Name: name, Targets: []*xdsv1.ModelTarget{to(p, target, 1, 0)}}
	}
	g.serve(model("smart", "gpt-exact"), model("openai/*", "*"), model("openai/ft-*", "ft-*"), model("*-eu", "eu-*-x"), model("own-*", ""))
	f := func(name, want string) {
		t.Helper()
		n := v.asked()
		g.chat(strings.Replace(hello, "smart", name, 1)).want(t, 200)
		if v.asked() > n && !strings.Contains(v.bodies[n], `"model":"`+want+`"`) {
			t.Errorf("%s leads to %s, want %s", name, v.bodies[n], want)
		}
	}
	f("smart", "gpt-exact")
	f("openai/gpt-a", "gpt-a")
	f("openai/other", "other")
	f("openai/ft-9", "ft-9")
	f("gpt-eu", "eu-gpt-x")
	f("own-it", "own-it")
	g.ask("GET", "/v1/models", "").want(t, 200, `"smart"`, `"openai/gpt-a"`, `"openai/ft-b"`)
}

func TestWeights(t *testing.T) {
	a, b := &target{weight: 90}, &target{weight: 10}
	last := &target{weight: 1}
	r := &route{tiers: [][]*target{{a, b}, {last}}}
	count := 0
	for i := range 100 {
		l := New(Options{Tokenizers: tokens, Rand: func() float64 { return (float64(i) + 0.5) / 100 }})
		order := l.order(nil, r)
		if len(order) != 3 || order[2] != last || order[0] == order[1] {
			t.Fatalf("order %v", order)
		}
		if order[0] == a {
			count++
		}
	}
	if count != 90 {
		t.Errorf("the first target came first %d times of 100, want 90", count)
	}
}

func TestInvalidTargets(t *testing.T) {
	v := newVendor(t, jsonBody(completed))
	g := newGateway(t, Options{})
	p := g.openAI("a", v)
	broken := &xdsv1.ModelTarget{Invalid: "no such AIProvider", Weight: 1}
	g.serve(
		&xdsv1.Model{Name: "smart", Targets: []*xdsv1.ModelTarget{broken, to(p, "gpt-x", 0, 0), to(p, "gpt-y", 1, 1)}},
		&xdsv1.Model{Name: "none", Targets: []*xdsv1.ModelTarget{broken}},
	)
	g.chat(hello).want(t, 200)
	if !strings.Contains(v.bodies[0], "gpt-y") {
		t.Errorf("the provider got %s", v.bodies[0])
	}
	g.chat(strings.Replace(hello, "smart", "none", 1)).want(t, 503, "configured")
}

func TestCompileErrors(t *testing.T) {
	f := func(want string, edit func(*xdsv1.Provider)) {
		t.Helper()
		g := newGateway(t, Options{})
		p := g.provider("a", xdsv1.Schema_OPENAI, "https://api.example.com/v1", edit)
		_, err := g.llm.Models(p.Key, g.rs, g.clusters)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "provider/ai/a: ") {
			t.Errorf("error %v, want %q", err, want)
		}
		if err != nil && strings.Contains(err.Error(), "sk-gateway") {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
	f("schema: BEDROCK", func(p *xdsv1.Provider) { p.Schema = xdsv1.Schema_BEDROCK })
	f(`has no key "other"`, func(p *xdsv1.Provider) { p.Auth.GetApiKey().DataKey = "other" })
	f("endpoint: url", func(p *xdsv1.Provider) { p.Endpoint = nil })
	f("endpoint: backend/ai/x/1", func(p *xdsv1.Provider) {
		p.Endpoint = &xdsv1.ProviderEndpoint{Kind: &xdsv1.ProviderEndpoint_Backend{Backend: "backend/ai/x/1"}}
	})
	g := newGateway(t, Options{})
	if _, err := g.llm.Models("models/ai/none", g.rs, g.clusters); err == nil {
		t.Error("a handler without a resource")
	}
}
