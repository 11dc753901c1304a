package e2e

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/test/rig"
)

// picture is n random bytes in base64.
func picture(n int) string {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return base64.StdEncoding.EncodeToString(b)
}

// pictures is the content of a message with five pictures.
func pictures(d dialect, data string) []any {
	content := []any{map[string]any{"type": "text", "text": "What do you see?"}}
	for range 5 {
		if d.name == "openai" {
			content = append(content, map[string]any{"type": "image_url", "image_url": map[string]any{"url": "data:image/png;base64," + data}})
		} else {
			content = append(content, map[string]any{"type": "image", "source": map[string]any{"type": "base64", "media_type": "image/png", "data": data}})
		}
	}
	return content
}

// TestLargePrompt: 20 MB of images reach every provider.
func TestLargePrompt(t *testing.T) {
	t.Parallel()
	w := start(t, allSchemas)
	data := picture(3 << 20)
	for _, d := range dialects {
		messages := []any{map[string]any{"role": "user", "content": pictures(d, data)}}
		for _, s := range rig.Schemas {
			t.Run(d.name+" "+s.Name, func(t *testing.T) {
				a := ask{dialect: d, model: "sim-" + s.Name, more: map[string]any{"messages": messages}}
				body := a.body()
				if len(body) < 20e6 {
					t.Fatalf("%d bytes", len(body))
				}
				r := w.post(d.path, body)
				want := "Attachments received: 5"
				if s.Name == "ollama" { // the simulator counts Ollama's images elsewhere
					want = "What do you see?"
				}
				r.says(t, want)
				seen := w.sim.Requests()
				if last := seen[len(seen)-1]; len(last.Body) < 20e6 || strings.Count(string(last.Body), data[:64]) != 5 {
					t.Errorf("the provider got %d bytes", len(last.Body))
				}
			})
		}
	}
}

// TestTooLargePrompt: above the limit it is 413 in the client's own dialect, and names the limit.
func TestTooLargePrompt(t *testing.T) {
	t.Parallel()
	w := start(t, allSchemas)
	for _, d := range dialects {
		r := w.chat(ask{dialect: d, model: "sim-openai", text: strings.Repeat("x", 33<<20)})
		r.want(t, http.StatusRequestEntityTooLarge, fmt.Sprint(32<<20), `"error"`)
		w.chat(ask{dialect: d, model: "sim-openai", text: "Hi"}).want(t, 200)
	}
	if n := len(w.sim.Requests()); n != 2 {
		t.Errorf("the provider got %d requests, want 2", n)
	}
}

// TestLargeAnswer: 50 MB come through, whole and streamed, forwarded and translated.
func TestLargeAnswer(t *testing.T) {
	t.Parallel()
	w := start(t, allSchemas)
	const size = 50_000_000
	for _, model := range []string{"sim-openai", "sim-gemini"} {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s stream=%v", model, stream), func(t *testing.T) {
				n := size
				if stream && model == "sim-gemini" {
					n = size / 20 // each word is an event of some hundred bytes
				} else if stream {
					n = size / 10
				}
				r := w.chat(ask{dialect: dialects[0], model: model, text: fmt.Sprintf("Hi [[simulate: bytes=%d]]", n), stream: stream})
				r.want(t, 200)
				if said := len(r.text()); said != n || len(r.body) < size {
					t.Errorf("%d bytes of text in %d bytes", said, len(r.body))
				}
			})
		}
	}
}
