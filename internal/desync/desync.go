// Package desync is the one test that every wrapper of an upstream's body has to pass: read all, read part and close, the
// upstream dies, the client leaves. An upstream connection may be used again only after a clean end, and nobody ever sees
// bytes of another request. Tests alone import it.
package desync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// Subject is a wrapper under test.
type Subject struct {
	// Open sends a request whose script is given to the upstream and returns the body of the answer as the wrapper gives
	// it. ctx ends when the client leaves.
	Open func(ctx context.Context, script string) (exchange.Stream, error)
	// Whole says whether what was read up to err is all of an answer of the id; nil: Content(id) and io.EOF.
	Whole func(id int, got string, err error) bool
	// Multiplexed: calls share connections, which outlive broken ones.
	Multiplexed bool
}

// Upstream is a server that plays scripts: "/<what>/<framing>/<id>".
type Upstream struct {
	*httptest.Server
	// Script finds the script of a request; nil: it is the path.
	Script func(r *http.Request) string
	// Pieces are what is sent for an id; nil: those of Content.
	Pieces func(id int) []string

	mu    sync.Mutex
	conns map[int]string // by id, the address that it was asked from
	told  chan int       // ids whose caller has left
}

// NewUpstream starts an upstream over HTTP/1.1 and, without TLS, HTTP/2.
func NewUpstream(t *testing.T) *Upstream {
	u := &Upstream{conns: map[int]string{}, told: make(chan int, 100)}
	u.Server = httptest.NewUnstartedServer(http.HandlerFunc(u.serve))
	u.Config.Protocols = new(http.Protocols)
	u.Config.Protocols.SetHTTP1(true)
	u.Config.Protocols.SetUnencryptedHTTP2(true)
	u.Start()
	t.Cleanup(u.Close)
	return u
}

// Addr is the upstream's host and port.
func (u *Upstream) Addr() (host string, port uint32) {
	a := u.Listener.Addr().(*net.TCPAddr)
	return a.IP.String(), uint32(a.Port)
}

const pieces, pieceSize = 8, 6000

// Content is the body of an id.
func Content(id int) string { return strings.Join(contents(id), "") }

func contents(id int) (out []string) {
	for range pieces {
		out = append(out, strings.Repeat(Mark(id), pieceSize/len(Mark(id))))
	}
	return out
}

// Mark is a word that only the body of id holds.
func Mark(id int) string { return fmt.Sprintf("id%did ", id) }

var marks = regexp.MustCompile(`id(\d+)id`)

func (u *Upstream) serve(w http.ResponseWriter, r *http.Request) {
	script := r.URL.Path
	if u.Script != nil {
		script = u.Script(r)
	}
	part := strings.Split(script, "/")
	id, _ := strconv.Atoi(part[3])
	u.mu.Lock()
	u.conns[id] = r.RemoteAddr
	u.mu.Unlock()
	list := contents(id)
	if u.Pieces != nil {
		list = u.Pieces(id)
	}
	out, flush := begin(w, part[2], len(strings.Join(list, "")))
	for i, p := range list {
		if i == len(list)/2 && part[1] != "whole" {
			u.breakOff(out, part[1], id, r)
			return
		}
		io.WriteString(out, p)
		flush()
	}
	if c, ok := out.(net.Conn); ok {
		c.Close()
	}
}

// begin writes a head: of fixed length, chunked, or of a body that ends with the connection.
func begin(w http.ResponseWriter, framing string, length int) (out io.Writer, flush func()) {
	w.Header().Set("Content-Type", "text/event-stream")
	switch framing {
	case "fixed":
		w.Header().Set("Content-Length", strconv.Itoa(length))
	case "close":
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
		return c, func() {}
	}
	return w, w.(http.Flusher).Flush
}

// breakOff dies, or stalls until the caller leaves.
func (u *Upstream) breakOff(out io.Writer, what string, id int, r *http.Request) {
	c, hijacked := out.(net.Conn)
	switch {
	case what == "die" && hijacked:
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	case what == "die":
		<-time.After(5 * time.Millisecond) // what was flushed is to arrive first
		panic(http.ErrAbortHandler)
	case hijacked:
		c.Read(make([]byte, 1))
		c.Close()
		u.told <- id
	default:
		<-r.Context().Done()
		u.told <- id
	}
}

func (u *Upstream) conn(id int) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.conns[id]
}

// suite runs the cases of one subject.
type suite struct {
	u    *Upstream
	s    Subject
	next int
}

// Run runs the suite for each framing: fixed, chunked, close.
func Run(t *testing.T, u *Upstream, s Subject, framings ...string) {
	if s.Whole == nil {
		s.Whole = func(id int, got string, err error) bool { return err == io.EOF && got == Content(id) }
	}
	r := &suite{u: u, s: s}
	for _, framing := range framings {
		t.Run(framing, func(t *testing.T) {
			r.whole(t, framing)
			for range 3 {
				r.partThenClose(t, framing)
				r.upstreamDies(t, framing)
				r.clientLeaves(t, framing)
			}
		})
	}
}

func (r *suite) open(t *testing.T, ctx context.Context, what, framing string) (int, exchange.Stream) {
	t.Helper()
	r.next++
	b, err := r.s.Open(ctx, fmt.Sprintf("/%s/%s/%d", what, framing, r.next))
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return r.next, b
}

// whole reads a body to its end and returns its id.
func (r *suite) whole(t *testing.T, framing string) int {
	t.Helper()
	id, b := r.open(t, t.Context(), "whole", framing)
	got, err := readAll(b)
	b.Close()
	if r.foreign(t, id, got); !r.s.Whole(id, got, err) {
		t.Errorf("whole: %d bytes, %v", len(got), err)
	}
	again, b := r.open(t, t.Context(), "whole", framing)
	got, err = readAll(b)
	b.Close()
	if r.foreign(t, again, got); !r.s.Whole(again, got, err) {
		t.Errorf("whole again: %d bytes, %v", len(got), err)
	}
	if same := r.u.conn(id) == r.u.conn(again); same != (framing != "close") {
		t.Errorf("after a clean end the connection was used again: %v", same)
	}
	return again
}

// after wants the next request to be whole, and on a connection of its own.
func (r *suite) after(t *testing.T, id int, framing string) {
	t.Helper()
	if next := r.whole(t, framing); r.u.conn(next) == r.u.conn(id) && !r.s.Multiplexed {
		t.Error("a connection whose body did not end cleanly was used again")
	}
}

func (r *suite) partThenClose(t *testing.T, framing string) {
	t.Helper()
	id, b := r.open(t, t.Context(), "stall", framing)
	p, err := next(b)
	if r.foreign(t, id, string(p)); err != nil {
		t.Errorf("part: %v", err)
	}
	b.Close()
	r.toldOf(t, id)
	if _, err := next(b); err == nil || err == io.EOF {
		t.Errorf("after Close: %v", err)
	}
	b.Close()
	r.after(t, id, framing)
}

func (r *suite) upstreamDies(t *testing.T, framing string) {
	t.Helper()
	id, b := r.open(t, t.Context(), "die", framing)
	got, err := readAll(b)
	b.Close()
	if r.foreign(t, id, got); r.s.Whole(id, got, err) || len(got) == 0 && err == io.EOF {
		t.Errorf("an upstream that died looks like a clean end: %d bytes, %v", len(got), err)
	}
	r.after(t, id, framing)
}

func (r *suite) clientLeaves(t *testing.T, framing string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	id, b := r.open(t, ctx, "stall", framing)
	time.AfterFunc(20*time.Millisecond, cancel)
	got, err := readAll(b)
	if r.foreign(t, id, got); err == io.EOF || err == nil {
		t.Errorf("the client has left, and the body ended with %v", err)
	}
	b.Close()
	r.toldOf(t, id)
	r.after(t, id, framing)
}

// toldOf waits until the upstream knows that nobody wants the answer of id.
func (r *suite) toldOf(t *testing.T, id int) {
	t.Helper()
	select {
	case got := <-r.u.told:
		if got != id {
			t.Errorf("told of %d, want %d", got, id)
		}
	case <-time.After(2 * time.Second):
		t.Fatal("the upstream was not told")
	}
}

// foreign wants nothing of another id in what was read.
func (r *suite) foreign(t *testing.T, id int, got string) {
	t.Helper()
	if m := marks.FindStringSubmatch(strings.ReplaceAll(got, Mark(id), "")); m != nil && m[1] != strconv.Itoa(id) {
		t.Fatalf("request %d got bytes of %s", id, m[1])
	}
}

func readAll(s exchange.Stream) (string, error) {
	var b strings.Builder
	for {
		p, err := next(s)
		b.Write(p)
		if err != nil {
			return b.String(), err
		}
	}
}

// next reads a piece, over deadlines that let the stream go on.
func next(s exchange.Stream) ([]byte, error) {
	d, _ := s.(exchange.Deadliner)
	for end := time.Now().Add(5 * time.Second); ; {
		if d != nil {
			d.SetDeadline(time.Now().Add(3 * time.Millisecond))
		}
		p, err := s.Next()
		if d == nil || !isTimeout(err) || time.Now().After(end) {
			return p, err
		}
	}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// Plain hides that a stream can be told when to give up.
type Plain struct{ exchange.Stream }
