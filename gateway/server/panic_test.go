package server_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/gateway/config"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// broken panics where its name says.
type broken struct {
	exchange.Stream
	where string
}

func (b *broken) Next() ([]byte, error) {
	if b.where == "next" {
		panic("in Next")
	}
	p, err := b.Stream.Next()
	if b.where == "later" {
		b.where = "next"
	}
	return p, err
}

func (b *broken) Close() error {
	if b.where == "close" {
		panic("in Close")
	}
	return b.Stream.Close()
}

// Interrupt passes on what only clients' bodies have.
func (b *broken) Interrupt() {
	if i, ok := b.Stream.(exchange.Interrupter); ok {
		i.Interrupt()
	}
}

// breakDown makes handlers that panic where the path says: /handler, /request/next, /response/later.
func breakDown(h exchange.Handler) exchange.Handler {
	return exchange.HandlerFunc(func(x *exchange.Exchange) {
		side, where, _ := strings.Cut(string(x.Path[1:]), "/")
		switch side {
		case "handler":
			panic("in a handler")
		case "request":
			x.ReqBody.Stream = &broken{x.ReqBody.Stream, where}
		}
		h.Serve(x)
		if side == "response" {
			x.RespBody.Stream = &broken{x.RespBody.Stream, where}
		}
	})
}

// A panic costs its request: the client gets a 500 or a response that is cut off, and everybody else goes on.
func TestPanics(t *testing.T) {
	up := say(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n")
	g := startWith(t, builder{wrap: breakDown}, func(port int) config.Update { return oneRoute(port, up.addr, h1Backend) })
	panics := 0
	for name, c := range g.clients() {
		f := func(path string, size int, want int) {
			t.Helper()
			resp, err := c.Post("http://"+g.addr+path, "", bytes.NewReader(make([]byte, size)))
			status := 0
			if err == nil {
				if _, err = io.Copy(io.Discard, resp.Body); err == nil {
					status = resp.StatusCode
				}
				resp.Body.Close()
			}
			if status != want {
				t.Errorf("%s %s: status %d, %v, want %d", name, path, status, err, want)
			}
			if panics++; want == 200 && path == "/" {
				panics--
			}
			c.CloseIdleConnections() // a connection may end after an answer that was whole
			eventually(t, fmt.Sprintf("%s %s: %d panics are counted", name, path, panics), func() bool {
				return g.metric("nantian_panics_total") == strconv.Itoa(panics)
			})
		}
		f("/", 10, 200)
		f("/handler", 0, 500)
		f("/handler", 1<<20, 500)
		f("/request/next", 10, 500)
		f("/request/next", 1<<20, 500)
		f("/request/later", 1<<20, 500)
		f("/response/next", 10, 0)
		f("/response/later", 10, 0)
		f("/response/close", 10, 200)
		f("/", 1<<20, 200)
	}
	resp, err := http.Get("http://" + g.addr + "/")
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
}
