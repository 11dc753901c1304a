package llm

import (
	"net/http"
	"strings"
	"testing"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// painted is a Gemini answer with a text and an image in one frame: Anthropic's schema has the one and not the other.
const painted = `{"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"Write to ` + address + `, soon"},` +
	`{"inlineData":{"mimeType":"image/png","data":"aGk="}}]},"finishReason":"STOP"}],"modelVersion":"gemini-x",` +
	`"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":2,"totalTokenCount":9}}`

const helloAnthropic = `{"stream":true,"model":"smart","max_tokens":50,"messages":[{"role":"user","content":"Say hello"}]}`

// TestInexpressibleIsNotLeaked: what was translated of a frame before the part that cannot be has not been seen by a guard.
func TestInexpressibleIsNotLeaked(t *testing.T) {
	for name, script := range map[string]http.HandlerFunc{
		"stream": events("data: " + painted),
		"whole":  jsonBody(painted),
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, Options{})
			g.guard("pii", false, chatKey, guardRule("mask", xdsv1.GuardAction_MASK, "Email"))
			a := g.provider("a", xdsv1.Schema_GEMINI, newVendor(t, script).URL, timeouts(time.Hour, time.Minute, time.Minute))
			b := g.anthropic("b", newVendor(t, jsonBody(anthropicDone)))
			g.serve(inOrder(a, b))
			r := g.ask("POST", "/v1/messages", helloAnthropic)
			t.Log(r.status, r.body)
			r.lacks(t, address)
			if n := strings.Count(r.body, "event: message_start"); n > 1 {
				t.Errorf("%d answers in one stream:\n%s", n, r.body)
			}
		})
	}
}
