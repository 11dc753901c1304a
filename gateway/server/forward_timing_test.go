package server_test

import (
	"bytes"
	"net"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	smallGet = "GET /a/b?c=d HTTP/1.1\r\nHost: example.com\r\nUser-Agent: bench/1\r\nAccept: */*\r\nX-Request-Id: 0123456789abcdef\r\n\r\n"
	smallOK  = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\nServer: bench\r\n\r\n"
)

// quickUpstream answers whatever comes in one piece, without allocating.
func quickUpstream(t testing.TB) string {
	answer := append([]byte(smallOK), bytes.Repeat([]byte("x"), 100)...)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 4096)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					c.Write(answer)
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// asker is a connection that asks for the same again and again, without allocating.
type asker struct {
	c       net.Conn
	request []byte
	buf     []byte
}

func newAsker(t testing.TB, addr string) *asker {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &asker{c: c, request: []byte(smallGet), buf: make([]byte, 4096)}
}

// ask makes a request and reads its answer, whose body is 100 bytes.
func (a *asker) ask() error {
	if _, err := a.c.Write(a.request); err != nil {
		return err
	}
	for n := 0; ; {
		k, err := a.c.Read(a.buf[n:])
		if err != nil {
			return err
		}
		n += k
		if end := bytes.Index(a.buf[:n], []byte("\r\n\r\n")); end >= 0 && n >= end+4+100 {
			return nil
		}
	}
}

// bareProxy is a reverse proxy of fasthttp, as short as it can be written.
func bareProxy(t testing.TB, upstream string) string {
	client := &fasthttp.HostClient{Addr: upstream, MaxConns: 1000}
	s := &fasthttp.Server{NoDefaultDate: true, NoDefaultServerHeader: true, Handler: func(ctx *fasthttp.RequestCtx) {
		ctx.Request.Header.Del("Connection")
		if err := client.Do(&ctx.Request, &ctx.Response); err != nil {
			ctx.Error("bad gateway", 502)
			return
		}
		ctx.Response.Header.Del("Connection")
	}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(ln)
	t.Cleanup(func() { s.Shutdown(); client.CloseIdleConnections() })
	return ln.Addr().String()
}

// BenchmarkForward compares the whole gateway with a bare proxy on fasthttp and with no proxy at all. cpu-us/op counts all
// of the process: client and upstream, which are the same everywhere, and what is between them.
func BenchmarkForward(b *testing.B) {
	up := quickUpstream(b)
	g := startAt(b, up, h1Backend)
	for _, way := range []struct{ name, addr string }{{"direct", up}, {"bare", bareProxy(b, up)}, {"gateway", g.addr}} {
		for _, conns := range []int{1, 64} {
			b.Run(way.name+"/conns="+strconv.Itoa(conns), func(b *testing.B) { benchAsk(b, way.addr, conns) })
		}
	}
}

func benchAsk(b *testing.B, addr string, conns int) {
	askers := make([]*asker, conns)
	for i := range askers {
		askers[i] = newAsker(b, addr)
		if err := askers[i].ask(); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime()
	var wg sync.WaitGroup
	for i, a := range askers {
		wg.Go(func() {
			for range (b.N + i) / conns {
				if err := a.ask(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64((cpuTime()-before).Microseconds())/float64(b.N), "cpu-us/op")
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
