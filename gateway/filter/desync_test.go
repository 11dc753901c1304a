package filter

import (
	"context"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/upstream"
	"github.com/nantian-gw/nantian/internal/desync"
)

type leaver struct{ ctx context.Context }

func (l leaver) Context() context.Context { return l.ctx }

// TestDesync: a body that is copied to a mirror behaves as the body itself, whether or not the copy is read.
func TestDesync(t *testing.T) {
	for name, read := range map[string]bool{"copy is read": true, "copy lags": false} {
		t.Run(name, func(t *testing.T) {
			u := desync.NewUpstream(t)
			host, port := u.Addr()
			c := upstream.NewCluster(upstream.Config{Host: host, Port: port})
			t.Cleanup(c.Close)
			desync.Run(t, u, desync.Subject{Open: func(ctx context.Context, script string) (exchange.Stream, error) {
				call := &upstream.Call{Method: []byte("GET"), Path: []byte(script), Host: []byte("test"), Header: new(fasthttp.RequestHeader),
					Resp: new(fasthttp.ResponseHeader), RespTrailer: new(exchange.Trailer)}
				if err := c.Do(leaver{ctx}, call); err != nil {
					return nil, err
				}
				p := newPipe(ctx)
				if read {
					go drain(p)
				}
				return newTee(call.RespBody.Stream, p, call.RespBody.Length), nil
			}}, "fixed", "chunked", "close")
		})
	}
}

func drain(p *pipe) {
	for {
		if _, err := p.Next(); err != nil {
			return
		}
	}
}
