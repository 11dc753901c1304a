package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// The quickstart's own files, applied to a cluster, are called with OpenAI's SDK: streamed and not; and policies that are applied
// afterwards change what running data planes do.
func TestQuickstartWithSDK(t *testing.T) {
	ns := namespace(t)
	apply(t, ns, quickstart(t)+models[strings.Index(models, "---\napiVersion: v1\nkind: Service"):])
	at := gateway(t, ns, "ai")
	answers(t, at, "sim", 200)
	c := openai.NewClient(option.WithBaseURL("http://"+at+"/v1"), option.WithAPIKey("sk-of-the-client"), option.WithMaxRetries(0))
	ask := func(text string) openai.ChatCompletionNewParams {
		return openai.ChatCompletionNewParams{Model: "sim", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)}}
	}
	done, err := c.Chat.Completions.New(within(t), ask("Hello!"))
	if err != nil || !strings.Contains(done.Choices[0].Message.Content, "Hello!") || done.Usage.TotalTokens == 0 {
		t.Fatalf("%v %+v", err, done)
	}
	stream, words := c.Chat.Completions.NewStreaming(within(t), ask("Hello!")), ""
	for stream.Next() {
		if chunk := stream.Current(); len(chunk.Choices) > 0 {
			words += chunk.Choices[0].Delta.Content
		}
	}
	if stream.Err() != nil || words != done.Choices[0].Message.Content {
		t.Fatalf("%v: %q, not streamed %q", stream.Err(), words, done.Choices[0].Message.Content)
	}
	status := func(text string) int {
		_, err := c.Chat.Completions.New(within(t), ask(text))
		if e, ok := errors.AsType[*openai.Error](err); ok {
			return e.StatusCode
		}
		if err != nil {
			t.Fatal(err)
		}
		return 200
	}
	apply(t, ns, `
apiVersion: gateway.nantian.dev/v1alpha1
kind: PromptGuardPolicy
metadata: {name: names, namespace: NS}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: ai}]
  rules: [{name: names, keywords: ["project aurora"], scan: [Request], action: Block}]
`)
	becomes(t, 400, func() int { return status("What is project aurora?") })
	apply(t, ns, `
apiVersion: gateway.nantian.dev/v1alpha1
kind: TokenPolicy
metadata: {name: few, namespace: NS}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: models}]
  limits: [{name: day, unit: Requests, limit: 3, window: 24h}]
`)
	becomes(t, 429, func() int { return status("Hello!") })
	apply(t, ns, keys)
	becomes(t, 401, func() int { return status("Hello!") })
}

// quickstart is the example's files, for namespace NS; its simulator is a pod.
func quickstart(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, name := range []string{"gateway", "models", "providers"} {
		text, err := os.ReadFile(root + "/examples/quickstart/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(string(text) + "---\n")
	}
	const there, here = `{url: "http://127.0.0.1:9100/v1"}`, "{backendRef: {kind: Service, name: simulator, port: 9100, path: /v1}}"
	if strings.Count(all.String(), there) != 1 {
		t.Fatalf("the quickstart has no endpoint %s", there)
	}
	return strings.NewReplacer("namespace: default", "namespace: NS", there, here).Replace(all.String())
}

// becomes waits until calls are answered with a status.
func becomes(t *testing.T, want int, f func() int) {
	t.Helper()
	eventually(t, func(context.Context) error {
		if got := f(); got != want {
			return fmt.Errorf("status %d, expected %d", got, want)
		}
		return nil
	})
}
