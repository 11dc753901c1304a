package docs

import (
	"context"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// TestWebSocket sends a message through the example that docs/tasks/websocket.md shows the handshake of.
func TestWebSocket(t *testing.T) {
	s := newShell(t, "")
	s.run("go run ./examples/echo -listen 127.0.0.1:3000 -name chat")
	s.run("bin/nantian run -f examples/websocket")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "ws://127.0.0.1:"+s.ports["8080"]+"/chat", nil)
	s.must(err)
	defer c.CloseNow()
	s.must(c.Write(ctx, websocket.MessageText, []byte("hello")))
	if _, got, err := c.Read(ctx); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
	s.must(c.Close(websocket.StatusNormalClosure, ""))
}
