package chat_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/tokenizer"
	"github.com/nantian-gw/nantian/tokenizer/chat"
)

func count(t *testing.T, model string, r *chat.Request) int {
	t.Helper()
	reg := tokenizer.New()
	return chat.Count(reg.ForModel(model), reg.Rules(model), r).Total()
}

func say(role, name, text string) chat.Message {
	return chat.Message{Role: role, Name: name, Texts: [][]byte{[]byte(text)}}
}

// TestCookbookMessages has the example and the counts of OpenAI's Cookbook, which its API confirmed.
func TestCookbookMessages(t *testing.T) {
	r := &chat.Request{Messages: []chat.Message{
		say("system", "", "You are a helpful, pattern-following assistant that translates corporate jargon into plain English."),
		say("system", "example_user", "New synergies will help drive top-line growth."),
		say("system", "example_assistant", "Things working well together will increase revenue."),
		say("system", "example_user", "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."),
		say("system", "example_assistant", "Let's talk later when we're less busy about how to do better."),
		say("user", "", "This late pivot means we don't have time to boil the ocean for the client deliverable."),
	}}
	for model, want := range map[string]int{"gpt-3.5-turbo": 129, "gpt-4-0613": 129, "gpt-4": 129, "gpt-4o": 124, "gpt-4o-mini": 124} {
		if got := count(t, model, r); got != want {
			t.Errorf("%s: %d, want %d", model, got, want)
		}
	}
}

const weather = `{"type": "object", "required": ["location"], "properties": {
	"location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
	"unit": {"type": "string", "description": "The unit of temperature to return", "enum": ["celsius", "fahrenheit"]}}}`

// TestCookbookTools is TestCookbookMessages for tools.
func TestCookbookTools(t *testing.T) {
	ps, err := chat.Properties([]byte(weather))
	if err != nil {
		t.Fatal(err)
	}
	r := &chat.Request{
		Messages: []chat.Message{
			say("system", "", "You are a helpful assistant that can answer to questions about the weather."),
			say("user", "", "What's the weather like in San Francisco?"),
		},
		Tools: []chat.Tool{{Name: "get_current_weather", Description: "Get the current weather in a given location", Parameters: ps}},
	}
	for model, want := range map[string]int{"gpt-3.5-turbo": 105, "gpt-4": 105, "gpt-4o": 101, "gpt-4o-mini": 101} {
		if got := count(t, model, r); got != want {
			t.Errorf("%s: %d, want %d", model, got, want)
		}
	}
}

func TestCalls(t *testing.T) {
	r := &chat.Request{Messages: []chat.Message{{
		Role:  "assistant",
		Calls: []chat.Call{{Name: "get_weather", Arguments: []byte(`{"city":"Paris"}`)}, {Name: "now", Arguments: []byte(`{}`)}},
	}}}
	none := count(t, "gpt-4o", &chat.Request{Messages: []chat.Message{{Role: "assistant"}}})
	if got := count(t, "gpt-4o", r) - none; got != 15 {
		t.Errorf("two calls cost %d, want 15", got)
	}
}

func TestParts(t *testing.T) {
	reg := tokenizer.New()
	r := &chat.Request{
		Messages: []chat.Message{
			{Role: "user", Name: "ann", Texts: [][]byte{[]byte("What is this?")}, Images: []chat.Image{{Width: 1024, Height: 1024}}},
			{Role: "assistant", Calls: []chat.Call{{Name: "look", Arguments: []byte(`{}`)}}},
		},
		Tools: []chat.Tool{{Name: "look", Description: "Look at it."}},
	}
	got := chat.Count(reg.ForModel("gpt-4o"), reg.Rules("gpt-4o"), r)
	if want := (chat.Parts{Text: 4, Framing: 13, Calls: 5, Tools: 24, Images: 765}); got != want || got.Total() != 811 {
		t.Errorf("%+v, in all %d, want %+v", got, got.Total(), want)
	}
}

// TestImages has the examples that vendors give.
func TestImages(t *testing.T) {
	reg := tokenizer.New()
	f := func(model string, i chat.Image, want int) {
		t.Helper()
		if got := reg.Rules(model).Image.Count(i); got != want {
			t.Errorf("%s: %+v costs %d, want %d", model, i, got, want)
		}
	}
	f("gpt-4o", chat.Image{Width: 1024, Height: 1024}, 765)
	f("gpt-4o", chat.Image{Width: 2048, Height: 4096}, 1105)
	f("gpt-4o", chat.Image{Width: 4096, Height: 8192, Low: true}, 85)
	f("gpt-4o", chat.Image{}, 765)
	f("gpt-4o-2024-11-20", chat.Image{Width: 128, Height: 64}, 255)
	f("gpt-4o-mini", chat.Image{Width: 128, Height: 64}, 8500)
	f("gpt-4.1", chat.Image{Width: 1, Height: 1_000_000}, 85+170*4)
	f("gpt-5-2025-08-07", chat.Image{Width: 1024, Height: 1024}, 630)
	f("o3", chat.Image{Width: 1024, Height: 1024}, 675)
	f("gpt-4.1-mini", chat.Image{Width: 1024, Height: 1024}, 1659)
	f("gpt-4.1-mini", chat.Image{Width: 1800, Height: 2400}, 2353) // 1452 patches
	f("o4-mini", chat.Image{Width: 1, Height: 1}, 2)
	f("gpt-4.1-nano", chat.Image{Width: 1 << 30, Height: 1}, 3779)
	f("claude-sonnet-4-5", chat.Image{Width: 1000, Height: 1000}, 1334)
	f("claude-sonnet-4-5", chat.Image{Width: 200, Height: 200}, 54)
	f("claude-sonnet-4-5", chat.Image{Width: 8000, Height: 8000}, 1600)
	f("gemini-2.5-pro", chat.Image{Width: 384, Height: 384}, 258)
	f("gemini-2.5-pro", chat.Image{Width: 1536, Height: 768}, 516)
	f("gpt-3.5-turbo", chat.Image{Width: 1024, Height: 1024}, 0)
	f("gpt-4o", chat.Image{Width: -5, Height: 3}, 765)
}

func TestProperties(t *testing.T) {
	f := func(schema string, want ...string) {
		t.Helper()
		ps, err := chat.Properties([]byte(schema))
		if err != nil {
			t.Errorf("%s: %v", schema, err)
		}
		if got := flat(ps, ""); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", schema, got, want)
		}
	}
	f(``)
	f(`{}`)
	f(`true`)
	f(`{"properties":{"b":{"type":"string"},"a":{"type":["integer","null"],"description":"An a."}}}`,
		`b:string:`, `a:["integer","null"]:An a.`)
	f(`{"properties":{"o":{"type":"object","properties":{"x":{"type":"number","enum":[1,2.5,"three",null]}}}}}`,
		`o:object:`, `o/x:number:1,2.5,three,`)
	f(`{"properties":{"l":{"type":"array","items":{"type":"object","properties":{"y":{}}}},"any":true}}`,
		`l:array:`, `l/y::`, `any::`)
}

func flat(ps []chat.Property, path string) (out []string) {
	for _, p := range ps {
		out = append(out, path+p.Name+":"+p.Type+":"+p.Description+strings.Join(p.Enum, ","))
		out = append(out, flat(p.Properties, path+p.Name+"/")...)
	}
	return out
}

func TestPropertiesRejects(t *testing.T) {
	for _, schema := range []string{`[]`, `"x"`, `{`, `{"properties":[]}`, `{"properties":{"a":5}}`, `{"properties":{"a":{"enum":1}}}`} {
		if ps, err := chat.Properties([]byte(schema)); err == nil {
			t.Errorf("%s: %v, want an error", schema, ps)
		}
	}
}

func FuzzProperties(f *testing.F) {
	f.Add([]byte(weather))
	f.Add([]byte(strings.Repeat(`{"items":`, 1000) + `{}` + strings.Repeat(`}`, 1000)))
	f.Add([]byte(strings.Repeat(`{"properties":{"a":`, 100) + `true` + strings.Repeat(`}}`, 100)))
	f.Fuzz(func(t *testing.T, schema []byte) {
		ps, err := chat.Properties(schema)
		if err != nil && ps != nil {
			t.Errorf("%q: both %v and %v", schema, ps, err)
		}
	})
}
