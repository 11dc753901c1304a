package server_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/gateway/server"
)

func TestSlowHead(t *testing.T) {
	g := start(t, http.HandlerFunc(echo))
	g.server.SetLimits(server.Limits{HeadTimeout: 200 * time.Millisecond})
	c := g.dial()
	go func() { // a byte now and then does not buy more time
		for {
			if _, err := io.WriteString(c, "G"); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	resp, _ := c.answer("GET")
	c.ended()
	if resp.StatusCode != 408 || !resp.Close {
		t.Errorf("status %d, close %v", resp.StatusCode, resp.Close)
	}
}

func TestSlowBody(t *testing.T) {
	g := start(t, http.HandlerFunc(echo))
	g.server.SetLimits(server.Limits{BodyTimeout: 100 * time.Millisecond})
	for _, framing := range []string{"Content-Length: 10\r\n\r\nabc", "Content-Length: 1000000\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"} {
		c := g.dial()
		c.send("POST / HTTP/1.1\r\nHost: h\r\n" + framing)
		if resp, body := c.answer("POST"); resp.StatusCode != 408 || !resp.Close {
			t.Errorf("%q: %d %q", framing, resp.StatusCode, body)
		}
		c.ended()
	}
}

// A client that takes nothing is given up, and so is the call upstream.
func TestClientNeverReads(t *testing.T) {
	left := make(chan struct{})
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				close(left)
				return
			}
		}
	}))
	g.server.SetLimits(server.Limits{WriteTimeout: 200 * time.Millisecond})
	c := g.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	select {
	case <-left:
	case <-time.After(patience):
		t.Error("the upstream still writes")
	}
	eventually(t, "the connection is closed", func() bool { return g.metric("nantian_connections") == "0" })
}

// A client that reads slowly, but does read, gets all of a response that takes longer than the write timeout.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, size)) }))
	g.server.SetLimits(server.Limits{WriteTimeout: 5 * time.Second})
	c := g.dial()
	c.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	n, buf := 0, make([]byte, 128<<10) // 64 pieces, in more than 5 s
	for err == nil {
		var k int
		k, err = io.ReadFull(resp.Body, buf)
		n += k
		time.Sleep(90 * time.Millisecond)
	}
	if n != size {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestTimeouts(t *testing.T) {
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			w.(http.Flusher).Flush()
		}
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	u := oneRoute(port(g), g.upstream, h1Backend)
	setTimeout(u, 150*time.Millisecond)
	if err := g.store.Apply(context.Background(), u); err != nil {
		t.Fatal(err)
	}
	for name, c := range g.clients() {
		resp, err := c.Get("http://" + g.addr)
		if err != nil || resp.StatusCode != 504 {
			t.Errorf("%s: %v, %v", name, resp, err)
		} else {
			resp.Body.Close()
		}
		// A client that sends its body slowly uses up the same time.
		pr, pw := io.Pipe()
		req, _ := http.NewRequest("POST", "http://"+g.addr, pr)
		req.ContentLength = 1000
		go pw.Write([]byte("a"))
		if resp, err = c.Do(req); err != nil || resp.StatusCode != 504 {
			t.Errorf("%s: slow body: %v, %v", name, resp, err)
		} else {
			resp.Body.Close()
		}
		pw.Close()
		// A stream that is cut is not a clean end.
		if resp, err = c.Get("http://" + g.addr + "/stream"); err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: the stream ended well", name)
		}
	}
}
