package ai_test

import (
	"errors"
	"testing"

	"github.com/nantian-gw/nantian/ai"
)

func TestCollectJoinsDeltas(t *testing.T) {
	c, err := ai.Collect([]ai.Event{
		{Kind: ai.EventStart, ID: []byte("r1"), Name: []byte("m")},
		{Kind: ai.EventReasoning, Text: []byte("hm")},
		{Kind: ai.EventSignature, Text: []byte("s1")},
		{Kind: ai.EventText, Part: 1, Text: []byte("Hel")},
		{Kind: ai.EventText, Part: 1, Text: []byte("lo")},
		{Kind: ai.EventToolStart, Part: 2, Call: 0, ID: []byte("a"), Name: []byte("f")},
		{Kind: ai.EventToolStart, Part: 3, Call: 1, ID: []byte("b"), Name: []byte("g")},
		{Kind: ai.EventToolDelta, Part: 2, Call: 0, Text: []byte(`{"x":`)},
		{Kind: ai.EventToolDelta, Part: 3, Call: 1, Text: []byte(`{}`)},
		{Kind: ai.EventToolDelta, Part: 2, Call: 0, Text: []byte(`1}`)},
		{Kind: ai.EventFinish, Finish: ai.FinishTools},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := c.Choices[0].Parts
	if len(p) != 4 || p[0].Text != "hm" || p[0].Signature != "s1" || p[1].Text != "Hello" ||
		p[2].Call.Arguments != `{"x":1}` || p[3].Call.Arguments != "{}" || c.Choices[0].Finish != ai.FinishTools || c.ID != "r1" {
		t.Errorf("collected %+v of %+v", p, c)
	}
}

func TestCollectFails(t *testing.T) {
	want := &ai.Error{Status: 502, Message: "gone"}
	_, err := ai.Collect([]ai.Event{{Kind: ai.EventText, Text: []byte("x")}, {Kind: ai.EventError, Err: want}})
	var got *ai.Error
	if !errors.As(err, &got) || got != want {
		t.Errorf("error %v, want %v", err, want)
	}
}

func TestCollectRedacted(t *testing.T) {
	c, err := ai.Collect([]ai.Event{
		{Kind: ai.EventReasoning, Text: []byte("thought")},
		{Kind: ai.EventSignature, Text: []byte("data"), Redacted: true},
		{Kind: ai.EventToolStart, ID: []byte("1"), Custom: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	ps := c.Choices[0].Parts
	if len(ps) != 3 || ps[0].Redacted || ps[0].Signature != "" || !ps[1].Redacted || ps[1].Signature != "data" || !ps[2].Call.Custom {
		t.Errorf("got %+v", ps)
	}
}
