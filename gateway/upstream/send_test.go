package upstream

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// peer is an upstream that echoes request bodies, and counts connections and reads of requests.
type peer struct {
	addr         string
	conns, reads atomic.Int64
}

func newPeer(t *testing.T) *peer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	p := &peer{addr: ln.Addr().String()}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.conns.Add(1)
			go p.serve(c)
		}
	}()
	return p
}

func (p *peer) serve(c net.Conn) {
	defer c.Close()
	br := bufio.NewReaderSize(countReads{c, &p.reads}, 1<<20)
	for {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+string(body))
	}
}

type countReads struct {
	io.Reader
	n *atomic.Int64
}

func (c countReads) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(1)
	return n, err
}

func (p *peer) cluster(t *testing.T) *Cluster {
	t.Helper()
	host, port, _ := net.SplitHostPort(p.addr)
	n, _ := strconv.Atoi(port)
	c := NewCluster(Config{Key: "test", Name: "test", Host: host, Port: uint32(n)})
	t.Cleanup(c.Close)
	return c
}

type background struct{}

func (background) Context() context.Context { return context.Background() }

// cutBody is a request body in pieces, ready says whether they are there without a wait.
type cutBody struct {
	list  [][]byte
	ready bool
}

func (p *cutBody) Buffered() bool { return p.ready }
func (p *cutBody) Close() error   { return nil }

func (p *cutBody) Next() ([]byte, error) {
	if len(p.list) == 0 {
		return nil, io.EOF
	}
	b := p.list[0]
	p.list = append(p.list[:0], p.list[1:]...)
	return b, nil
}

// post sends a body and returns what came back.
func post(t *testing.T, c *Cluster, body exchange.Body) []byte {
	t.Helper()
	var header fasthttp.RequestHeader
	var resp fasthttp.ResponseHeader
	call := &Call{Method: []byte("POST"), Path: []byte("/"), Host: []byte("test.example"), Header: &header, Body: body, Resp: &resp}
	if err := c.Do(background{}, call); err != nil {
		t.Fatal(err)
	}
	if call.RespBody.Stream == nil {
		return call.RespBody.Bytes
	}
	got, err := exchange.AppendStream(nil, &call.RespBody, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestBodiesArriveHoweverTheyAreCut(t *testing.T) {
	c := newPeer(t).cluster(t)
	f := func(length int64, ready bool, sizes ...int) {
		t.Helper()
		s := &cutBody{ready: ready}
		var want []byte
		for i, n := range sizes {
			s.list = append(s.list, bytes.Repeat([]byte{byte('a' + i)}, n))
			want = append(want, s.list[i]...)
		}
		if length > 0 {
			length = int64(len(want))
		}
		if got := post(t, c, exchange.StreamBody(s, length)); !bytes.Equal(got, want) {
			t.Errorf("pieces %v: %d bytes arrived, want %d", sizes, len(got), len(want))
		}
	}
	for _, ready := range []bool{false, true} {
		f(0, ready)
		f(1, ready, 1)
		f(1, ready, 1000, 2000)
		f(1, ready, 4000, 20<<10, 5)
		f(1, ready, 40<<10, 40<<10)
		f(1, ready, 200<<10, 200<<10)
		f(-1, ready, 10, 30<<10, 10)
	}
	for _, n := range []int{0, 1, 16 << 10, 32 << 10, 600 << 10} {
		want := bytes.Repeat([]byte("x"), n)
		if got := post(t, c, exchange.BytesBody(want)); !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %d arrived", n, len(got))
		}
	}
}

func TestAHeadIsSentTogetherWithABodyThatIsThere(t *testing.T) {
	p := newPeer(t)
	c := p.cluster(t)
	const calls = 20
	for range calls {
		post(t, c, exchange.StreamBody(&cutBody{list: [][]byte{[]byte("all of it")}, ready: true}, 9))
	}
	// One read a request, and one that waits for the next.
	if n := p.reads.Load(); n > calls+1 {
		t.Errorf("%d reads for %d requests", n, calls)
	}
}

func TestAConnectionIsUsedAgainAfterTheDeadlineOfItsLastCall(t *testing.T) {
	p := newPeer(t)
	c := p.cluster(t)
	for range 3 {
		post(t, c, exchange.BytesBody([]byte("x")))
		time.Sleep(4 * patience)
	}
	if n := p.conns.Load(); n != 1 {
		t.Errorf("%d connections for three calls one after the other", n)
	}
}
