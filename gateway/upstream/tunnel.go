package upstream

import (
	"io"
	"time"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// tunnelIdle ends an upgraded connection on which nothing moved in either direction.
const tunnelIdle = time.Hour

// tunnel is the upstream side of an upgraded connection (WebSocket).
type tunnel struct{ c *h1Conn }

var _ exchange.Tunnel = (*tunnel)(nil)

// Join implements exchange.Tunnel. A side that ends its half is passed on as such; an error ends both.
func (t *tunnel) Join(client exchange.Duplex) {
	c := t.c
	call := c.call
	c.call = nil
	c.release()
	defer call.release()
	defer c.destroy()
	c.net.SetDeadline(time.Time{})
	done := make(chan struct{})
	up := &halfCloser{Conn: c.net}
	go func() {
		defer close(done)
		copyHalf(up, client)
	}()
	copyHalf(client, readAhead{t, up})
	<-done
}

// readAhead reads first what came with the head of the 101.
type readAhead struct {
	t *tunnel
	*halfCloser
}

func (r readAhead) Read(p []byte) (int, error) {
	if b := r.t.c.r.Buffered(); b > 0 {
		return r.t.c.r.Read(p)
	}
	return r.halfCloser.Read(p)
}

// copyHalf copies from src to dst until src ends or nothing came for too long. A clean end closes dst's writing half;
// anything else closes both.
func copyHalf(dst, src exchange.Duplex) {
	buf := make([]byte, 16<<10)
	for {
		src.SetReadDeadline(time.Now().Add(tunnelIdle))
		n, err := src.Read(buf)
		if n > 0 {
			dst.SetWriteDeadline(time.Now().Add(writeTimeout))
			if _, werr := dst.Write(buf[:n]); werr != nil {
				dst.Close()
				src.Close()
				return
			}
		}
		if err == io.EOF {
			dst.CloseWrite()
			return
		}
		if err != nil {
			dst.Close()
			src.Close()
			return
		}
	}
}
