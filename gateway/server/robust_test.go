package server_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestHeadSizes(t *testing.T) {
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		w.Header().Set("X-Big", strings.Repeat("b", n))
		io.WriteString(w, "ok")
	}))
	for name, c := range g.clients() {
		f := func(request, response, want int) {
			t.Helper()
			req, _ := http.NewRequest("GET", fmt.Sprintf("http://%s/?n=%d", g.addr, response), nil)
			req.Header.Set("X-Big", strings.Repeat("a", request))
			resp, err := c.Do(req)
			if err != nil {
				t.Fatalf("%s %d %d: %v", name, request, response, err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s: request %d, response %d: %d, want %d", name, request, response, resp.StatusCode, want)
			}
		}
		f(31<<10, 63<<10, 200)
		f(33<<10, 1, 431)
		f(1, 65<<10, 502)
		f(1, 1, 200)
	}
	eventually(t, "both refusals are counted", func() bool {
		return g.metric(`nantian_requests_total{backend="",code="431",gateway="",route=""}`) == "2"
	})
}

// What the upstream says on one connection is never taken for the answer to the next request.
func TestStrayBytes(t *testing.T) {
	stray := "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nSTRAY"
	for _, name := range []string{"at once", "later"} {
		answered, wrote := make(chan struct{}), make(chan struct{})
		s := scripted(t, func(n int64, c net.Conn, r *bufio.Reader) {
			for {
				req, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(req.URL.Path), req.URL.Path)
				if name == "at once" {
					io.WriteString(c, answer+stray)
					continue
				}
				io.WriteString(c, answer)
				<-answered
				io.WriteString(c, stray)
				wrote <- struct{}{}
			}
		})
		c := startScript(t, s).dial()
		for i := range 5 {
			path := fmt.Sprintf("/%d", i)
			if status, body := c.get(path); status != 200 || body != path {
				t.Errorf("%s: request %d got %d %q", name, i, status, body)
			}
			if name == "later" {
				answered <- struct{}{}
				<-wrote
			}
		}
		if n := s.conns.Load(); n != 5 {
			t.Errorf("%s: %d connections for 5 requests, each of which leaves something behind", name, n)
		}
	}
}

// An upstream that closes idle connections just when a request comes: GET is sent again, POST is not, and nothing that was
// closed before is used at all.
func TestUpstreamClosesIdle(t *testing.T) {
	var posts atomic.Int64
	s := scripted(t, func(n int64, c net.Conn, r *bufio.Reader) {
		for i := 0; ; i++ {
			req, err := http.ReadRequest(r)
			if err != nil || i == 1 && n%2 == 1 {
				return // the second request on every other connection finds it closed
			}
			if req.Method == "POST" {
				posts.Add(1)
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	c := startScript(t, s).dial()
	c.get("/1")
	if status, body := c.get("/2"); status != 200 || body != "ok" || s.conns.Load() != 2 {
		t.Errorf("GET: %d %q over %d connections", status, body, s.conns.Load())
	}
	s2 := scripted(t, func(n int64, c net.Conn, r *bufio.Reader) {
		for i := 0; i < 2; i++ {
			if _, err := http.ReadRequest(r); err != nil || i == 1 {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	c = startScript(t, s2).dial()
	c.get("/1")
	c.send("POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
	if resp, body := c.answer("POST"); resp.StatusCode != 502 || s2.conns.Load() != 1 {
		t.Errorf("POST: %d %q over %d connections", resp.StatusCode, body, s2.conns.Load())
	}
	closed := make(chan struct{})
	s3 := scripted(t, func(n int64, c net.Conn, r *bufio.Reader) {
		http.ReadRequest(r)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		c.Close()
		closed <- struct{}{}
	})
	c = startScript(t, s3).dial()
	for range 5 {
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
		if resp, body := c.answer("POST"); resp.StatusCode != 200 {
			t.Errorf("POST after an idle close: %d %q", resp.StatusCode, body)
		}
		<-closed
	}
}

// Answers without a body, whatever their fields say, leave both connections usable.
func TestBodylessAnswers(t *testing.T) {
	f := func(method, head, wantLength string) {
		t.Helper()
		s := say(t, "HTTP/1.1 "+head+"\r\n\r\n")
		c := startScript(t, s).dial()
		for range 3 {
			c.send(method + " / HTTP/1.1\r\nHost: h\r\n\r\n")
			resp, body := c.answer(method)
			if got := resp.Header.Get("Content-Length"); body != "" || got != wantLength || len(resp.TransferEncoding) > 0 && method != "HEAD" {
				t.Errorf("%s %q: body %q, length %q, %v", method, head, body, got, resp.TransferEncoding)
			}
		}
		if n := s.conns.Load(); n != 1 {
			t.Errorf("%s %q: %d connections", method, head, n)
		}
	}
	f("HEAD", "200 OK\r\nContent-Length: 10", "10")
	f("HEAD", "200 OK\r\nTransfer-Encoding: chunked", "")
	f("HEAD", "404 Not Found\r\nContent-Length: 0", "0")
	f("GET", "204 No Content", "")
	f("GET", "204 No Content\r\nTransfer-Encoding: chunked", "")
	f("GET", "204 No Content\r\nContent-Length: 10", "")
	f("GET", "304 Not Modified\r\nContent-Length: 10", "10")
	f("GET", "304 Not Modified", "")
	f("GET", "304 Not Modified\r\nTransfer-Encoding: chunked", "")
	f("GET", "200 OK\r\nContent-Length: 0", "0")
}

func TestEarlyHints(t *testing.T) {
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(103)
		w.Header().Set("Link", "</b.css>; rel=preload")
		w.WriteHeader(103)
		w.Header().Del("Link")
		io.WriteString(w, "done")
	}))
	for name, c := range g.clients() {
		var hints []string
		resp, err := c.Do(withHints(t, "http://"+g.addr, &hints))
		if err != nil {
			t.Fatal(name, err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if got := strings.Join(hints, " "); string(b) != "done" || resp.Header.Get("Link") != "" ||
			got != "103 </a.css>; rel=preload 103 </b.css>; rel=preload" {
			t.Errorf("%s: hints %q, then %q with %v", name, got, b, resp.Header)
		}
	}
	if got := g.raw("GET / HTTP/1.0\r\n\r\n"); strings.Contains(got, "103") {
		t.Errorf("hints for HTTP/1.0: %q", got)
	}
}

// A flood of interim responses ends, in a 502 or by the client leaving.
func TestInterimFlood(t *testing.T) {
	gone := make(chan struct{}, 1)
	s := scripted(t, func(n int64, c net.Conn, r *bufio.Reader) {
		http.ReadRequest(r)
		for {
			if _, err := io.WriteString(c, "HTTP/1.1 102 Processing\r\n\r\n"); err != nil {
				gone <- struct{}{}
				return
			}
		}
	})
	c := startScript(t, s).dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	for {
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 102 {
			if resp.StatusCode != 502 {
				t.Errorf("status %d", resp.StatusCode)
			}
			break
		}
	}
	<-gone
}

// A client that has sent all and closes its writing half has left.
func TestHalfClosed(t *testing.T) {
	asked, left := make(chan struct{}, 1), make(chan struct{}, 1)
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
		left <- struct{}{}
	}))
	c := g.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	<-asked
	c.Conn.(*net.TCPConn).CloseWrite()
	select {
	case <-left:
	case <-time.After(patience):
		t.Error("the upstream was not told")
	}
	eventually(t, "it is counted as a client that left", func() bool {
		return g.metric(`nantian_requests_total{backend="default/echo:80",code="499",gateway="default/gw",route="default/all"}`) == "1"
	})
}

// Bodies of all kinds in one pipeline: each request is answered for itself, in order.
func TestPipelinedBodies(t *testing.T) {
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Id", r.URL.Path)
		w.Write(b)
	}))
	var text strings.Builder
	var want [][]byte
	for i, size := range []int{0, 1, 100, 5000, 70000, 300000, 0, 17} {
		id := fmt.Sprintf("/fixed%d", i)
		want = append(want, bodyOf(id, size))
		fmt.Fprintf(&text, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", id, size, bodyOf(id, size))
		id = fmt.Sprintf("/chunked%d", i)
		want = append(want, bodyOf(id, size))
		fmt.Fprintf(&text, "\r\nPUT %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", id)
		for rest := bodyOf(id, size); len(rest) > 0; rest = rest[min(len(rest), 1000):] {
			fmt.Fprintf(&text, "%x\r\n%s\r\n", min(len(rest), 1000), rest[:min(len(rest), 1000)])
		}
		text.WriteString("0\r\nX-T: 1\r\n\r\n")
	}
	c := g.dial()
	var wg sync.WaitGroup
	wg.Go(func() { io.WriteString(c, text.String()) })
	for i, w := range want {
		resp, body := c.answer("POST")
		if body != string(w) {
			t.Fatalf("answer %d: %d, %d bytes of %s, want %d", i, resp.StatusCode, len(body), resp.Header.Get("X-Id"), len(w))
		}
	}
	wg.Wait()
}

func TestHTTP10KeepAlive(t *testing.T) {
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) }))
	c := g.dial()
	for _, path := range []string{"/a", "/b"} {
		c.send("GET " + path + " HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
		if resp, body := c.answer("GET"); body != path || !strings.EqualFold(resp.Header.Get("Connection"), "keep-alive") {
			t.Errorf("%s: %q, %v", path, body, resp.Header)
		}
	}
	c.send("GET /c HTTP/1.0\r\n\r\n")
	if resp, body := c.answer("GET"); body != "/c" || !resp.Close {
		t.Errorf("%q, %v", body, resp.Header)
	}
	c.ended()
}

// A body of unknown length that breaks must not look complete to an HTTP/1.0 client, which knows the end by the close.
func TestHTTP10BrokenStream(t *testing.T) {
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "partial")
		w.(http.Flusher).Flush()
		time.Sleep(20 * time.Millisecond)
		panic(http.ErrAbortHandler)
	}))
	c := g.dial()
	c.send("GET / HTTP/1.0\r\n\r\n")
	if b, err := io.ReadAll(c.r); err == nil {
		t.Errorf("a clean end after %q", b)
	}
}

// The error answer to a large body that nobody reads arrives, and is not lost to a reset.
func TestAnswerToUnreadBody(t *testing.T) {
	g := start(t, http.HandlerFunc(echo))
	g.store.Apply(context.Background(), noRoutes())
	for range 20 {
		c := g.dial()
		go io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4000000\r\n\r\n"+strings.Repeat("x", 4000000))
		if resp, body := c.answer("POST"); resp.StatusCode != 404 || !resp.Close {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
		c.Close()
	}
}

// Expect: the 100 comes when the upstream reads, and never after the answer.
func TestExpectations(t *testing.T) {
	s := scripted(t, func(n int64, c net.Conn, r *bufio.Reader) {
		head, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		fmt.Fprintf(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 1\r\nX-Expect: %s\r\nConnection: close\r\n\r\nx", head.Header.Get("Expect"))
		time.Sleep(10 * time.Millisecond)
	})
	g := startScript(t, s)
	for range 20 {
		c := g.dial()
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
		b, _ := io.ReadAll(c.r)
		got := string(b)
		final := strings.Index(got, "HTTP/1.1 413")
		if final < 0 || strings.Contains(got[final:], "100 Continue") || !strings.Contains(got, "X-Expect: \r\n") {
			t.Fatalf("got %q", got)
		}
	}
	got := g.raw("GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 413") {
		t.Errorf("without a body: %q", got)
	}
	for name, c := range g.clients() {
		req, _ := http.NewRequest("GET", "http://"+g.addr, nil)
		req.Header.Set("Expect", "the-unexpected")
		resp, err := c.Do(req)
		if err != nil || resp.StatusCode != 417 {
			t.Errorf("%s: %v, %v", name, resp, err)
		}
		if err == nil {
			resp.Body.Close()
		}
	}
}

// A 100 for an upload comes though the client sends nothing before it.
func TestContinueThroughBothFrontEnds(t *testing.T) {
	g := start(t, http.HandlerFunc(echo))
	for name, c := range g.clients() {
		c.Transport.(*http.Transport).ExpectContinueTimeout = patience
		for _, size := range []int{10, 1 << 20} {
			req, _ := http.NewRequest("POST", "http://"+g.addr+"/", bytes.NewReader(make([]byte, size)))
			req.Header.Set("Expect", "100-continue")
			began := time.Now()
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(name, err)
			}
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if want := fmt.Sprintf("POST /? %d", size); string(b) != want || time.Since(began) >= patience {
				t.Errorf("%s: %q after %v, want %q", name, b, time.Since(began), want)
			}
		}
	}
}
