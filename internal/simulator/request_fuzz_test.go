package simulator

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// FuzzRequests: whatever is posted to whatever path, the answer is complete, and JSON where it says so.
func FuzzRequests(f *testing.F) {
	paths := []string{
		chatPath, "/v1/completions", "/v1/embeddings", "/openai/deployments/d/chat/completions?api-version=1",
		"/v1/messages", "/v1/messages/count_tokens", "/v1beta/models/sim:generateContent",
		"/v1beta/models/sim:streamGenerateContent?alt=sse", "/v1beta/models/sim:streamGenerateContent",
		"/v1beta/models/sim:countTokens", "/v1beta/models/sim:embedContent", "/v1beta/models/sim:batchEmbedContents",
		"/api/chat", "/api/generate", "/api/embed", "/v1/models", "/nowhere",
	}
	files, err := filepath.Glob("testdata/*.http")
	if err != nil || len(files) == 0 {
		f.Fatal("no golden files to begin with: ", err)
	}
	for i, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		body := strings.Split(string(b), "\n\n")[1]
		for p := range paths {
			f.Add(uint(p+i), body)
		}
	}
	serve := New(Options{}).Handler()
	f.Fuzz(func(t *testing.T, path uint, body string) {
		if strings.Contains(body, "?") || strings.Contains(body, `\u003`) || strings.Contains(body, "simulate") {
			return // it may ask for silence
		}
		ctx := chatRequest(body)
		ctx.Request.SetRequestURI(paths[path%uint(len(paths))])
		ctx.Request.Header.Set("anthropic-version", "2023-06-01")
		serve(ctx)
		answer := ctx.Response.Body() // reads a stream to its end
		kind := string(ctx.Response.Header.ContentType())
		if strings.HasPrefix(kind, "application/json") && !json.Valid(answer) {
			t.Fatalf("%s with %q answers %q", paths[path%uint(len(paths))], body, answer)
		}
		if code := ctx.Response.StatusCode(); code == fasthttp.StatusOK && len(answer) == 0 {
			t.Fatalf("%s with %q answers nothing", paths[path%uint(len(paths))], body)
		}
	})
}
