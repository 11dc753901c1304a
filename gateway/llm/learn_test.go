package llm

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"strings"
	"sync"
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/tokenizer/approx"
)

// learner is a gateway whose provider is asked for model.
func learner(t *testing.T, model string, script http.HandlerFunc) (*gateway, *vendor) {
	g := newGateway(t, Options{})
	v := newVendor(t, script)
	return g.serve(&xdsv1.Model{Name: "smart", Targets: []*xdsv1.ModelTarget{to(g.openAI("a", v), model, 1, 0)}}), v
}

// chats makes n calls and releases them, which is when the gateway learns.
func (g *gateway) chats(n int, body string) (last int) {
	for range n {
		r := g.chat(body)
		last = r.x.LLM.Usage.Input
		exchange.Release(r.x)
	}
	return last
}

func reported(input, output int, text string) http.HandlerFunc {
	return jsonBody(fmt.Sprintf(`{%s,"choices":[{"index":0,"message":{"role":"assistant","content":%q},"finish_reason":"stop"}],`+
		`"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}`, chatID, text, input, output, input+output))
}

var prose = strings.Repeat("The river runs to the sea. ", 60)

func ask(text string) string {
	return fmt.Sprintf(`{"model":"smart","messages":[{"role":"user","content":%q}]}`, text)
}

// TestEstimatesLearn: what a provider reports of a model without a public vocabulary moves the estimate of the next call
// for which it reports nothing, of its input and of its output, and the estimate of a stream that is cut.
func TestEstimatesLearn(t *testing.T) {
	g, v := learner(t, "claude-x", jsonBody(unmeasured))
	before := g.chats(1, ask(prose))
	const truth = 700
	v.play(reported(truth, 2, "Hello there"))
	g.chats(60, ask(prose))
	v.play(jsonBody(unmeasured))
	if after := g.chats(1, ask(prose)); before > 600 || after < truth*95/100 || after > truth*105/100 {
		t.Errorf("the estimate was %d, is %d, want about %d", before, after, truth)
	}
	l := g.llm.Calibration.Learned()
	if len(l) != 1 || l[0].Model != "claude-x" || l[0].Input.Observations < 33 || l[0].Input.Observations > 60 {
		t.Errorf("learned %+v, want claude-x observed 32 times and now and then after that", l)
	}
}

func TestStreamsLearn(t *testing.T) {
	g, v := learner(t, "claude-x", nil)
	text, usage := textChunk(prose), strings.Replace(usage, `"completion_tokens":2`, `"completion_tokens":800`, 1)
	v.play(events(roleChunk, text, stopChunk, usage, doneMark))
	g.chats(80, streamed(hello))
	v.play(events(roleChunk, text, "@cut"))
	r := g.chat(streamed(hello))
	if u := r.x.LLM.Usage; !u.Estimated || u.Output < 740 || u.Output > 860 {
		t.Errorf("a cut stream counts as %+v, want 800 tokens of output within 60", u)
	}
	exchange.Release(r.x)
	l := g.llm.Calibration.Learned()[0].Output
	if l.Observations < 33 || l.Observations > 80 || l.Error > 0.3 {
		t.Errorf("learned %+v of the output, want 32 observations and now and then one after that", l)
	}
}

// TestOddCallsTeachNothing: what is exact, failed, was estimated, or holds what is not text is not learned from.
func TestOddCallsTeachNothing(t *testing.T) {
	image := `{"model":"smart","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]}]}`
	f := func(name, model, body string, script http.HandlerFunc) {
		t.Helper()
		g, _ := learner(t, model, script)
		g.chats(3, body)
		if l := g.llm.Calibration.Learned(); len(l) > 0 {
			t.Errorf("%s: learned %+v", name, l)
		}
	}
	f("exact", "gpt-4o", hello, reported(100, 2, "Hello there"))
	f("failed", "claude-x", hello, status(500))
	f("estimated", "claude-x", hello, jsonBody(unmeasured))
	f("image", "claude-x", image, reported(1000, 2, "A cat"))
	f("too large", "claude-x", ask(strings.Repeat("word ", maxLearned/4)), reported(100_000, 2, "Hello"))
	f("cut", "claude-x", streamed(hello), events(roleChunk, textChunk("Hello"), usage, "@cut"))
}

// TestImagesCountBySize: an inline image says how large it is; of another nothing is known.
func TestImagesCountBySize(t *testing.T) {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 300, 200))); err != nil {
		t.Fatal(err)
	}
	count := func(url string) int {
		g, _ := learner(t, "gpt-4o", jsonBody(unmeasured))
		return g.chats(1, fmt.Sprintf(`{"model":"smart","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":%q}}]}]}`, url))
	}
	inline, elsewhere := count("data:image/png;base64,"+base64.StdEncoding.EncodeToString(b.Bytes())), count("https://example.com/a.png")
	if inline != 255+7 || elsewhere != 765+7 {
		t.Errorf("an image of one tile counts %d, one of unknown size %d, want 262 and 772", inline, elsewhere)
	}
}

// TestCountTokensTeaches: providers that count a request say the truth about it.
func TestCountTokensTeaches(t *testing.T) {
	g := newGateway(t, Options{})
	v := newVendor(t, jsonBody(`{"input_tokens":321}`))
	g.serve(&xdsv1.Model{Name: "smart", Targets: []*xdsv1.ModelTarget{to(g.anthropic("a", v), "claude-x", 1, 0)}})
	body := fmt.Sprintf(`{"model":"smart","messages":[{"role":"user","content":%q}]}`, prose[:800])
	r := g.ask("POST", "/v1/messages/count_tokens", body, "anthropic-version", "2023-06-01")
	r.want(t, 200, `"input_tokens":321`)
	exchange.Release(r.x)
	if l := g.llm.Calibration.Learned(); len(l) != 1 || l[0].Input.Observations != 1 {
		t.Errorf("learned %+v, want one observation", l)
	}
}

func TestLearnConcurrently(t *testing.T) {
	g, _ := learner(t, "claude-x", reported(700, 2, "Hello there"))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { g.chats(20, ask(prose)) })
	}
	wg.Wait()
	if got := g.llm.Calibration.Factor("claude-x", approx.Input); got < 1.3 {
		t.Errorf("factor %.2f, want more than 1.3", got)
	}
}
