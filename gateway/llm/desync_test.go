package llm

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/internal/desync"
)

// released keeps the exchange of a stream reachable as long as the stream is.
type released struct {
	exchange.Stream
	x *exchange.Exchange
}

// TestDesync: an answer that a model streams, forwarded as it is or translated, is never mixed with another one.
func TestDesync(t *testing.T) {
	for path, body := range map[string]string{
		"/v1/chat/completions": `{"model":"smart","stream":true,"messages":[{"role":"user","content":"@SCRIPT@"}]}`,
		"/v1/messages":         `{"model":"smart","stream":true,"max_tokens":100,"messages":[{"role":"user","content":"@SCRIPT@"}]}`,
	} {
		t.Run(path[4:], func(t *testing.T) {
			u := desync.NewUpstream(t)
			script := regexp.MustCompile(`@([^@]*)@`)
			u.Script = func(r *http.Request) string {
				b, _ := io.ReadAll(r.Body)
				return script.FindStringSubmatch(string(b))[1]
			}
			u.Pieces = func(id int) []string {
				return []string{roleChunk + "\n\n", textChunk(desync.Mark(id)) + "\n\n", textChunk(desync.Mark(id)) + "\n\n",
					textChunk("x") + "\n\n", stopChunk + "\n\n", usage + "\n\n", doneMark + "\n\n"}
			}
			g := newGateway(t, Options{})
			p := g.provider("a", xdsv1.Schema_OPENAI, u.URL+"/v1")
			g.serve(inOrder(p))
			desync.Run(t, u, desync.Subject{
				Open: func(ctx context.Context, script string) (exchange.Stream, error) {
					x := exchange.Acquire(ctx, nil)
					x.Req.SetMethod("POST")
					x.Path = append(x.Path, path...)
					x.ReqBody = exchange.BytesBody([]byte(strings.Replace(body, "SCRIPT", script, 1)))
					g.handler.Serve(x)
					return released{x.RespBody.Stream, x}, nil
				},
				Whole: func(_ int, got string, err error) bool {
					return err == io.EOF && !strings.Contains(got, "error") &&
						(strings.Contains(got, "[DONE]") || strings.Contains(got, "message_stop"))
				},
			}, "fixed", "chunked", "close")
		})
	}
}
