package llm

import (
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// TestModelsOfCallers: what a caller may not use is not there, and a default model does not come in by the back door.
func TestModelsOfCallers(t *testing.T) {
	v := newVendor(t, jsonBody(completed))
	g := newGateway(t, Options{})
	p := g.openAI("openai", v, func(p *xdsv1.Provider) {
		p.DefaultModel = "gpt-d"
		p.Models = []*xdsv1.ProviderModel{{Name: "gpt-a"}, {Name: "gpt-d"}}
	})
	g.compile(p.Key)
	who := &exchange.Identity{Models: []string{"gpt-a", "o*"}}
	as := func(method, path, body string) *reply {
		x := request(method, path, body)
		x.Identity = who
		g.handler.Serve(x)
		return read(x)
	}
	ask := func(model string) *reply {
		return as("POST", "/v1/chat/completions", `{`+model+`"messages":[{"role":"user","content":"Hi"}]}`)
	}
	ask(`"model":"gpt-a",`).want(t, 200)
	ask(`"model":"o1",`).want(t, 200)
	denied := ask(`"model":"gpt-d",`)
	denied.want(t, 404, `"gpt-d\" does not exist here; there are: gpt-a"`)
	denied.lacks(t, "gpt-d, ", ", gpt-d")
	none := ask("")
	none.want(t, 400)
	none.lacks(t, "gpt-d")
	list := as("GET", "/v1/models", "")
	list.want(t, 200, "gpt-a")
	list.lacks(t, "gpt-d")
	as("GET", "/v1/models/gpt-d", "").want(t, 404)
	as("GET", "/v1/models/o3", "").want(t, 200)

	who = &exchange.Identity{Also: who}
	ask(`"model":"gpt-d",`).want(t, 404)
	as("GET", "/v1/models", "").lacks(t, "gpt-d")
	who = &exchange.Identity{Models: []string{"else"}}
	nothing := ask(`"model":"gpt-a",`)
	nothing.want(t, 404)
	nothing.lacks(t, "there are")
	who = nil
	ask("").want(t, 200)
	if n := v.asked(); n != 3 {
		t.Errorf("the provider was asked %d times", n)
	}
}
