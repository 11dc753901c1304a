package llm

import (
	"net/http"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/ai"
)

// faulty is a provider whose decoders have a bug.
type faulty struct{ ai.Provider }

func (faulty) DecodeCompletion(*ai.Exchange, []byte) (*ai.Completion, error) { panic("a bug") }

// breakDecoder puts a bug into the provider of the model "smart".
func (g *gateway) breakDecoder() {
	p := g.handler.(*Handler).models.exact["smart"].tiers[0][0].provider
	p.wire, p.bypass = faulty{p.wire}, nil
}

// TestPanicGivesReservationsBack: the exchange of a panic is abandoned, what it reserved must not be.
func TestPanicGivesReservationsBack(t *testing.T) {
	for _, body := range []string{hello, streamed(hello)} {
		g := limited(t)
		g.policy("all", all(), chatModels)
		g.serve(inOrder(g.openAI("a", newVendor(t, jsonBody(completed)))))
		g.breakDecoder()
		x := request("POST", "/v1/chat/completions", body)
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			g.handler.Serve(x)
		}()
		if n := g.llm.Limits.Stats().Running; n != 0 {
			t.Errorf("%d reservations are still held (and would be extended for ever)", n)
		}
	}
}

// slowly answers after a while.
func slowly(d time.Duration, then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(d)
		then(w, r)
	}
}

// TestPanicAtTheHead: closing a stream that broke as the head of an answer was looked at does not wait for another head.
func TestPanicAtTheHead(t *testing.T) {
	g := newGateway(t, Options{})
	g.serve(inOrder(g.openAI("a", newVendor(t, slowly(300*time.Millisecond, jsonBody(completed))), timeouts(30*time.Millisecond, time.Minute, time.Minute))))
	g.breakDecoder()
	x := request("POST", "/v1/chat/completions", streamed(hello))
	g.handler.Serve(x)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		for {
			if _, err := x.RespBody.Stream.Next(); err != nil {
				return
			}
		}
	}()
	done := make(chan struct{})
	go func() { x.RespBody.Close(); close(done) }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("Close waits for ever")
	}
}
