package upstream

import (
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// A forwarded request must not leave garbage behind: it is what plain traffic costs beyond its system calls.
func TestCallsDoNotAllocate(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go answerAll(ln)
	addr := ln.Addr().(*net.TCPAddr)
	c := NewCluster(Config{Key: "test", Name: "test", Host: "127.0.0.1", Port: uint32(addr.Port)})
	t.Cleanup(c.Close)

	var header fasthttp.RequestHeader
	var resp fasthttp.ResponseHeader
	header.Set("Content-Type", "text/plain")
	body := &cutBody{ready: true, list: make([][]byte, 1)}
	piece := bytes.Repeat([]byte("x"), 1000)
	call := &Call{Method: []byte("POST"), Path: []byte("/"), Host: []byte("test.example"), Header: &header, Resp: &resp}
	f := func() {
		body.list = append(body.list[:0], piece)
		call.Body = exchange.StreamBody(body, int64(len(piece)))
		call.ResetResponse()
		if err := c.Do(background{}, call); err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := call.RespBody.Stream.Next(); err == io.EOF {
				return
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	f()
	if n := testing.AllocsPerRun(200, f); n > 0 {
		t.Errorf("%v allocations a call", n)
	}
}

// answerAll answers whatever comes in one piece, without allocating.
func answerAll(ln net.Listener) {
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			buf := make([]byte, 8<<10)
			for {
				if _, err := c.Read(buf); err != nil {
					return
				}
				if _, err := c.Write(answer); err != nil {
					return
				}
			}
		}()
	}
}
