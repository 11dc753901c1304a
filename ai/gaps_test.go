package ai_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/nantian-gw/nantian/ai"
)

type schema struct {
	ai.Dialect
	name ai.Schema
}

func (s schema) Schema() ai.Schema { return s.name }

func TestGapsSpeakTheClientsWords(t *testing.T) {
	// The second message of the client holds two results and an image, which canonically are two messages.
	c := &ai.Chat{Messages: []ai.Message{
		{Role: ai.RoleSystem, Parts: []ai.Part{{Kind: ai.PartText}}},
		{Role: ai.RoleUser, Parts: []ai.Part{{Kind: ai.PartFile}}},
		{Role: ai.RoleAssistant, Parts: []ai.Part{{Kind: ai.PartText}}},
		{Role: ai.RoleTool, Parts: []ai.Part{{Kind: ai.PartToolResult}, {Kind: ai.PartToolResult}}},
		{Role: ai.RoleUser, Parts: []ai.Part{{Kind: ai.PartImage}}},
	}}
	f := func(client ai.Schema, want ...string) {
		t.Helper()
		x := &ai.Exchange{Client: schema{name: client}}
		g := ai.NewGaps(x)
		g.Refuse("stop")
		g.Refuse("stop")
		g.RefusePart(c, 1, 0)
		g.RefusePart(c, 4, 0)
		g.Leave("user")
		var u *ai.Unsupported
		if err := g.Err(x, ai.Gemini); !errors.As(err, &u) || !reflect.DeepEqual(u.Params, want) {
			t.Errorf("%s: %v, want %v", client, err, want)
		}
		x.Target.Drop = true
		if err := g.Err(x, ai.Gemini); err != nil || len(x.Dropped) != len(want)+1 {
			t.Errorf("%s: dropped %v (%v)", client, x.Dropped, err)
		}
	}
	f(ai.OpenAI, "stop", "messages[1].content[0].file", "messages[4].content[0].image_url")
	f(ai.Anthropic, "stop_sequences", "messages[0].content[0].document", "messages[2].content[2].image")
}
