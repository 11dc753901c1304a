package llm

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/internal/simulator"
)

// simulate starts a simulated provider of all schemas and gives its address.
func simulate(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := simulator.New(simulator.Options{})
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ctx)
		<-done
	})
	return "http://" + l.Addr().String()
}

// schemasAt are the providers of a simulator, by the path that each expects before its own.
var schemasAt = map[xdsv1.Schema]string{
	xdsv1.Schema_OPENAI: "/v1", xdsv1.Schema_AZURE_OPENAI: "", xdsv1.Schema_ANTHROPIC: "", xdsv1.Schema_GEMINI: "", xdsv1.Schema_OLLAMA: "",
}

// clientsOf are the calls of a chat by the client's schema, with %s for the model and the text.
var clientsOf = map[string]string{
	"/v1/chat/completions": `{"model":%q,"messages":[{"role":"user","content":%q}]}`,
	"/v1/messages":         `{"model":%q,"max_tokens":500,"messages":[{"role":"user","content":%q}]}`,
}

// endOf is the mark of a complete stream.
var endOf = map[string]string{"/v1/chat/completions": "[DONE]", "/v1/messages": "message_stop"}

// TestEveryPair: each client's schema with each provider's, whole and streamed, well and ill.
func TestEveryPair(t *testing.T) {
	url := simulate(t)
	g := newGateway(t, Options{})
	var ms []*xdsv1.Model
	for schema, path := range schemasAt {
		name := strings.ToLower(strings.ReplaceAll(schema.String(), "_", "-"))
		p := g.provider(name, schema, url+path)
		ms = append(ms, &xdsv1.Model{Name: name, Targets: []*xdsv1.ModelTarget{to(p, "sim", 1, 0)}})
	}
	g.serve(ms...)
	for path, form := range clientsOf {
		for _, m := range ms {
			t.Run(path+" "+m.Name, func(t *testing.T) {
				ask := func(stream bool, text string) *reply {
					body := fmt.Sprintf(form, m.Name, text)
					if stream {
						body = streamed(body)
					}
					return g.ask("POST", path, body)
				}
				pair(t, ask, endOf[path])
			})
		}
	}
}

func pair(t *testing.T, ask func(stream bool, text string) *reply, end string) {
	for _, stream := range []bool{false, true} {
		r := ask(stream, "How are you?")
		r.want(t, 200, "sim")
		if u := r.x.LLM.Usage; !u.Known || u.Estimated || u.Input == 0 || u.Output == 0 {
			t.Errorf("stream %v: usage %+v", stream, u)
		}
		if stream {
			r.want(t, 200, end)
		}
		r = ask(stream, "How are you? [[simulate: omit-usage]]")
		r.want(t, 200)
		if u := r.x.LLM.Usage; !u.Estimated || u.Input == 0 || u.Output == 0 {
			t.Errorf("stream %v without usage: %+v", stream, u)
		}
		r = ask(stream, "How are you? [[simulate: status=429 retry-after=3]]")
		r.want(t, 429, "error")
		if r.head["retry-after"] != "3" {
			t.Errorf("stream %v: head %v", stream, r.head)
		}
		ask(stream, "How are you? [[simulate: status=503]]").want(t, 503, "error")
		ask(stream, "How are you? [[simulate: reset]]").want(t, 502, "error")
	}
	for _, fault := range []string{"cut-after=4", "error-after=4", "malformed-after=4"} {
		r := ask(true, "Count to ten [[simulate: tokens=20 "+fault+"]]")
		r.lacks(t, end)
		if !strings.Contains(r.body, "error") {
			t.Errorf("%s: no error:\n%s", fault, r.body)
		}
	}
}
