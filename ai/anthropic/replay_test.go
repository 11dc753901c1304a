package anthropic_test

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/anthropic"
	"github.com/nantian-gw/nantian/ai/openai"
)

// An OpenAI client that hands an answer back as it came returns Anthropic's thoughts, signatures and calls unchanged, as
// the next turn of a conversation with tools needs them.
func TestThoughtsSurviveAnOpenAIClient(t *testing.T) {
	in, err := os.ReadFile("testdata/full/answer.json")
	if err != nil {
		t.Fatal(err)
	}
	x := exchange(openai.Dialect{}, nil)
	c, err := anthropic.Provider{}.DecodeCompletion(x, in)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := x.Client.AppendCompletion(nil, x, c)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Choices []struct{ Message json.RawMessage }
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		t.Fatal(err)
	}
	next := exchange(openai.Dialect{}, []byte(`{"model":"m","reasoning_effort":"low","messages":[{"role":"user","content":"Hi"},`+
		string(got.Choices[0].Message)+`,{"role":"tool","tool_call_id":"toolu_01A","content":"1"},{"role":"tool","tool_call_id":"toolu_01B","content":"2"}]}`))
	next.Target.Model = "claude-sonnet-4-5"
	turn := body(t, next)["messages"].([]any)[1].(map[string]any)["content"].([]any)
	var want struct{ Content []map[string]any }
	if err := json.Unmarshal(in, &want); err != nil {
		t.Fatal(err)
	}
	for i, at := range map[int]int{0: 0, 1: 1, len(turn) - 2: 6, len(turn) - 1: 7} {
		w := want.Content[at]
		delete(w, "caller")
		if !reflect.DeepEqual(turn[i], any(w)) {
			t.Errorf("block %d is %s, want %s", i, compact(t, turn[i]), compact(t, w))
		}
	}
}

// An Anthropic client gets every thought of a stream by bypass as it came (see TestGolden), and by translation whole.
func TestThoughtsSurviveTranslation(t *testing.T) {
	in, err := os.ReadFile("testdata/full/stream.sse")
	if err != nil {
		t.Fatal(err)
	}
	x := exchange(anthropic.Dialect{}, nil)
	var all []ai.Event
	eachFrame(t, x, in, func(evs []ai.Event) {
		for _, e := range evs {
			e.Text, e.ID, e.Name = append([]byte(nil), e.Text...), append([]byte(nil), e.ID...), append([]byte(nil), e.Name...)
			all = append(all, e)
		}
	})
	c, err := ai.Collect(all)
	if err != nil {
		t.Fatal(err)
	}
	want := []ai.Part{
		{Kind: ai.PartReasoning, Text: "I should \"look\" it up.\n", Signature: "EqQBCgIYAhIM"},
		{Kind: ai.PartReasoning, Signature: "EmwKAhgBEgy3va3p", Redacted: true},
	}
	if got := c.Choices[0].Parts[:2]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}
