package server_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/gateway/config"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// reader makes handlers that read of the request body what the path says, close it or not, and answer with the path.
func reader(ended chan<- error) func(exchange.Handler) exchange.Handler {
	return func(exchange.Handler) exchange.Handler {
		return exchange.HandlerFunc(func(x *exchange.Exchange) {
			how, _, _ := strings.Cut(string(x.Path[1:]), "/")
			var err error
			for n := 0; x.ReqBody.Stream != nil && err == nil && (how == "all" || how == "part" && n < 2); n++ {
				_, err = x.ReqBody.Stream.Next()
			}
			if how == "part" {
				x.ReqBody.Close()
			}
			if how == "all" && ended != nil {
				ended <- err
			}
			x.ReplyBytes(200, "text/plain", []byte(string(x.Path)))
		})
	}
}

// Whatever is read of a request's body, its rest is never taken for the next request: that is answered for itself, or the
// connection ends.
func TestRequestBodiesDoNotMix(t *testing.T) {
	g := startWith(t, builder{wrap: reader(nil)}, func(port int) config.Update { return oneRoute(port, "127.0.0.1:1", h1Backend) })
	const next = "GET /none/next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
	f := func(path, framing, body string) {
		t.Helper()
		c := g.dial()
		go io.WriteString(c, "POST "+path+" HTTP/1.1\r\nHost: h\r\n"+framing+"\r\n\r\n"+body+next)
		if resp, got := c.answer("POST"); resp.StatusCode != 200 || got != path {
			t.Errorf("%s %s: %d %q", path, framing, resp.StatusCode, got)
		}
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil {
			return // the connection ended
		}
		if b, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(b) != "/none/next" {
			t.Errorf("%s %s: then %d %q", path, framing, resp.StatusCode, b)
		}
	}
	trap := "GET /none/trap HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, path := range []string{"/all/a", "/part/a", "/none/a"} {
		for _, size := range []int{1, 10, 3000, 5000, 100000, 3 << 20} {
			body := strings.Repeat(trap, size/len(trap)+1)[:size]
			f(path, fmt.Sprintf("Content-Length: %d", size), body)
			f(path, "Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", size, body))
			f(path, "Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n%s\r\n1\r\nx\r\n0\r\nX-T: 1\r\n\r\n", size, body))
			f(path, fmt.Sprintf("Content-Length: %d\r\nExpect: 100-continue", size), body)
		}
	}
}

// A client that leaves in the middle of its body is an error to whoever reads it, never the end.
func TestRequestBodyBreaks(t *testing.T) {
	ended := make(chan error, 1)
	g := startWith(t, builder{wrap: reader(ended)}, func(port int) config.Update { return oneRoute(port, "127.0.0.1:1", h1Backend) })
	f := func(how string, want bool) {
		t.Helper()
		select {
		case err := <-ended:
			if clean := errors.Is(err, io.EOF); clean != want {
				t.Errorf("%s: the body ended with %v", how, err)
			}
		case <-time.After(patience):
			t.Fatalf("%s: the body did not end", how)
		}
	}
	for _, framing := range []string{"Content-Length: 100\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "Transfer-Encoding: chunked\r\n\r\n0\r\n"} {
		for _, leave := range []func(*net.TCPConn){func(c *net.TCPConn) { c.CloseWrite() }, func(c *net.TCPConn) { c.SetLinger(0); c.Close() }} {
			c := g.dial()
			c.send("POST /all/a HTTP/1.1\r\nHost: h\r\n" + framing)
			leave(c.Conn.(*net.TCPConn))
			f(framing, false)
		}
	}
	for name, c := range g.clients() {
		pr, pw := io.Pipe()
		var wg sync.WaitGroup
		wg.Go(func() {
			if resp, err := c.Post("http://"+g.addr+"/all/a", "", pr); err == nil {
				resp.Body.Close()
			}
		})
		pw.Write([]byte("abc"))
		pw.CloseWithError(errors.New("changed my mind"))
		f(name, false)
		wg.Wait()
		resp, err := c.Post("http://"+g.addr+"/all/a", "", strings.NewReader("abc"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		f(name, true)
	}
}
