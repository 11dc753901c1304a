package gemini

import (
	"fmt"
	"strings"

	"github.com/nantian-gw/nantian/ai"
)

// results writes the results of consecutive messages as one turn: Gemini wants as many responses in it as there were
// calls. It says how many messages it took.
func (e *encoder) results(i int) (int, error) {
	e.Open()
	e.Text("role", "user")
	e.Array("parts")
	n := 0
	for ; i+n < len(e.c.Messages) && e.c.Messages[i+n].Role == ai.RoleTool; n++ {
		for j := range e.c.Messages[i+n].Parts {
			if err := e.result(i+n, j); err != nil {
				return 0, err
			}
		}
	}
	if e.model.major < 3 {
		for k := i; k < i+n; k++ {
			for j := range e.c.Messages[k].Parts {
				e.resultMedia(k, j)
			}
		}
	}
	e.filled()
	e.Shut()
	return n, nil
}

// result writes the part of a tool's result. Texts are one string, because the numbers of an object would go through
// float64. Images ride in the response from Gemini 3 on, and follow all responses before.
func (e *encoder) result(i, j int) error {
	p := &e.c.Messages[i].Parts[j]
	if p.Kind != ai.PartToolResult {
		e.input(i, j, p)
		return nil
	}
	e.hints(p)
	r := p.Result
	name := r.Name
	if name == "" {
		name = e.called(i, r.CallID)
	}
	if name == "" {
		return &ai.Error{Status: 400, Param: fmt.Sprintf("messages[%d]", i), Code: "invalid_value",
			Message: fmt.Sprintf("the tool result answers the call %q, which no earlier message makes", r.CallID)}
	}
	e.Open()
	e.Object("functionResponse")
	if r.CallID != "" {
		e.Text("id", r.CallID)
	}
	e.Text("name", name)
	e.Object("response")
	e.Text(outputKey(r), resultText(r))
	e.Shut()
	if e.model.major >= 3 && hasMedia(r) {
		e.Array("parts")
		e.resultMedia(i, j)
		e.End()
	}
	e.Shut()
	e.Shut()
	return nil
}

// outputKey is the member that Gemini reads: https://ai.google.dev/api/caching#FunctionResponse.
func outputKey(r *ai.ToolResult) string {
	if r.IsError {
		return "error"
	}
	return "output"
}

func resultText(r *ai.ToolResult) string {
	texts := make([]string, 0, len(r.Parts))
	for i := range r.Parts {
		if r.Parts[i].Kind == ai.PartText {
			texts = append(texts, r.Parts[i].Text)
		}
	}
	return strings.Join(texts, "\n")
}

func hasMedia(r *ai.ToolResult) bool {
	for i := range r.Parts {
		if r.Parts[i].Kind != ai.PartText {
			return true
		}
	}
	return false
}

func (e *encoder) resultMedia(i, j int) {
	r := e.c.Messages[i].Parts[j].Result
	if r == nil {
		return
	}
	for k := range r.Parts {
		if r.Parts[k].Kind != ai.PartText {
			e.input(i, j, &r.Parts[k])
		}
	}
}

// called is the name of the tool that the call with that id asked for, before message i.
func (e *encoder) called(i int, id string) string {
	for i--; i >= 0; i-- {
		for _, p := range e.c.Messages[i].Parts {
			if p.Kind == ai.PartToolCall && p.Call.ID == id {
				return p.Call.Name
			}
		}
	}
	return ""
}
