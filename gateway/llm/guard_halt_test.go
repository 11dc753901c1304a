package llm

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// A webhook is asked about what a provider's error says, too.
func TestGuardAsksAboutErrors(t *testing.T) {
	url, asked := hook(t, "because", "Mask")
	v := newVendor(t, status(400))
	g := newGateway(t, Options{})
	rule := asking("service", url)
	rule.Request = false
	g.guard("p", false, chatKey, rule)
	g.serve(inOrder(g.openAI("a", v)))
	g.chat(hello).want(t, 400, "[REDACTED_1] of 400")
	if q := asked(); len(q) != 1 || q[0] != "assistant: because of 400" {
		t.Errorf("asked %q", q)
	}
}

// waiting serves a guard of the rule's, or of the provider, whose webhook never answers.
func waiting(t *testing.T, ofProvider bool) (*gateway, *vendor) {
	hung := newVendor(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	v := newVendor(t, jsonBody(completed))
	g := newGateway(t, Options{})
	at := chatKey
	p := g.openAI("a", v)
	if ofProvider {
		at = []string{p.Key}
	}
	rule := asking("service", hung.URL+"/check")
	rule.Webhook.Timeout = nil
	g.guard("p", false, at, rule)
	g.serve(inOrder(p))
	return g, v
}

func TestGuardEndsWithTheRequest(t *testing.T) {
	for _, ofProvider := range []bool{false, true} {
		g, v := waiting(t, ofProvider)
		x := request("POST", "/v1/chat/completions", hello)
		x.Deadline = time.Now().Add(100 * time.Millisecond)
		g.handler.Serve(x)
		read(x).want(t, 504, "time was up")
		exchange.Release(x)

		ctx, leave := context.WithCancel(context.Background())
		left := exchange.Acquire(ctx, nil)
		left.Start, left.Path, left.ReqBody = time.Now(), []byte("/v1/chat/completions"), exchange.BytesBody([]byte(hello))
		left.Req.SetMethod("POST")
		time.AfterFunc(100*time.Millisecond, leave)
		g.handler.Serve(left)
		read(left).want(t, statusGone)
		if !left.Model.Aborted {
			t.Errorf("of the provider %t: a client that left is not told as that", ofProvider)
		}
		exchange.Release(left)
		if v.asked() > 0 {
			t.Error("the provider was asked")
		}
	}
}

// OpenAI's endpoint for moderation decides in place of a webhook of ours.
func TestGuardAsksForModeration(t *testing.T) {
	var asked struct{ Input, Model string }
	m := newVendor(t, func(http.ResponseWriter, *http.Request) {})
	m.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer sk-moderation" || json.NewDecoder(r.Body).Decode(&asked) != nil {
			t.Error("the moderation was asked without its key, or badly")
		}
		fmt.Fprintf(w, `{"results":[{"flagged":%t,"categories":{"violence":%[1]t}}]}`, strings.Contains(asked.Input, "hello"))
	})
	v := newVendor(t, jsonBody(completed))
	g := newGateway(t, Options{})
	rule := asking("moderation", m.URL+"/v1/moderations")
	rule.Response = false
	rule.Webhook.Kind, rule.Webhook.Model = xdsv1.GuardWebhook_OPENAI_MODERATION, "omni-moderation-latest"
	rule.Webhook.Secret, rule.Webhook.DataKey = xdsv1.SecretKey("ai", "moderation"), "key"
	g.rs[rule.Webhook.Secret] = &xdsv1.Resource{Kind: &xdsv1.Resource_Secret{Secret: &xdsv1.Secret{Key: rule.Webhook.Secret,
		Kind: &xdsv1.Secret_Opaque{Opaque: &xdsv1.Opaque{Data: map[string][]byte{"key": []byte("sk-moderation")}}}}}}
	g.guard("p", false, chatKey, rule)
	g.serve(inOrder(g.openAI("a", v)))
	g.chat(hello).want(t, 400, `rule \"moderation\"`)
	if v.asked() > 0 || asked.Model != "omni-moderation-latest" {
		t.Errorf("the provider was asked %d times, the moderation for %q", v.asked(), asked.Model)
	}
	g.chat(strings.Replace(hello, "hello", "goodbye", 1)).want(t, 200, "Hello there")
}
