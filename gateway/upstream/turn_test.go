package upstream

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// fickle answers one request on each connection, and then does what it is told to an idle connection.
func fickle(t *testing.T, then func(net.Conn)) (c *Cluster, done <-chan struct{}) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	after := make(chan struct{}, 16)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
					return
				}
				conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
				then(conn)
				after <- struct{}{}
				conn.Read(make([]byte, 1)) // until the gateway closes
			}()
		}
	}()
	host, port, _ := net.SplitHostPort(ln.Addr().String())
	n, _ := strconv.Atoi(port)
	c = NewCluster(Config{Key: "test", Name: "test", Host: host, Port: uint32(n)})
	t.Cleanup(c.Close)
	return c, after
}

// A POST cannot be sent twice, so that a connection which was closed, or on which something came unasked, must be found out
// before anything is sent on it.
func TestIdleConnectionsThatAreNotSilentGetNoRequest(t *testing.T) {
	f := func(name string, then func(net.Conn)) {
		t.Helper()
		c, done := fickle(t, then)
		for range 5 {
			if got := post(t, c, exchange.BytesBody([]byte("x"))); string(got) != "ok" {
				t.Errorf("%s: %q", name, got)
			}
			<-done
			time.Sleep(5 * time.Millisecond) // what was done has to arrive
		}
	}
	f("closed", func(c net.Conn) { c.(*net.TCPConn).CloseWrite() })
	f("reset", func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() })
	f("unasked", func(c net.Conn) { c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")) })
}

// The wait for the head counts from the last byte of the request, however short it is.
func TestHeaderTimeout(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	host, port, _ := net.SplitHostPort(ln.Addr().String())
	n, _ := strconv.Atoi(port)
	c := NewCluster(Config{Key: "test", Name: "test", Host: host, Port: uint32(n)})
	defer c.Close()
	best := time.Hour
	for range 5 { // the best of some, on a machine that is busy
		var header fasthttp.RequestHeader
		var resp fasthttp.ResponseHeader
		began := time.Now()
		err := c.Do(background{}, &Call{Method: []byte("POST"), Path: []byte("/"), Host: []byte("h"), Header: &header, Resp: &resp, HeaderTimeout: time.Millisecond})
		best = min(best, time.Since(began))
		var e *Error
		if !errors.As(err, &e) || e.Reason != ReasonTimeout {
			t.Fatalf("%v, want a timeout", err)
		}
	}
	if best > patience {
		t.Errorf("a timeout of 1 ms took %v at best", best)
	}
}
