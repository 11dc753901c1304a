package upstream

import (
	"context"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/internal/desync"
)

// leaver is a client that leaves when its context ends.
type leaver struct{ ctx context.Context }

func (l leaver) Context() context.Context { return l.ctx }

// fetch asks a cluster for a path.
func fetch(ctx context.Context, c *Cluster, path string) (*Call, error) {
	call := &Call{Method: []byte("GET"), Path: []byte(path), Host: []byte("test"), Header: new(fasthttp.RequestHeader),
		Resp: new(fasthttp.ResponseHeader), RespTrailer: new(exchange.Trailer)}
	return call, c.Do(leaver{ctx}, call)
}

// TestDesync runs the suite on the bodies of both transports, with and without deadlines.
func TestDesync(t *testing.T) {
	for name, h2 := range map[string]bool{"h1": false, "h2": true} {
		framings := []string{"fixed", "chunked", "close"}
		if h2 {
			framings = framings[:2]
		}
		for _, deadlines := range []bool{false, true} {
			if deadlines {
				name += " with deadlines"
			}
			t.Run(name, func(t *testing.T) {
				u := desync.NewUpstream(t)
				host, port := u.Addr()
				c := NewCluster(Config{Host: host, Port: port, H2: h2})
				t.Cleanup(c.Close)
				desync.Run(t, u, desync.Subject{Multiplexed: h2, Open: func(ctx context.Context, script string) (exchange.Stream, error) {
					call, err := fetch(ctx, c, script)
					if err != nil || deadlines {
						return call.RespBody.Stream, err
					}
					return desync.Plain{Stream: call.RespBody.Stream}, nil
				}}, framings...)
				if n := c.set.Load().all[0].inFlight.Load(); n != 0 {
					t.Errorf("%d calls in flight after all have ended", n)
				}
			})
		}
	}
}
