package server_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The gateway of this test runs in a process of its own, which may open 256 files. The parent is client and upstream.
const (
	limitedEnv = "NANTIAN_TEST_UPSTREAM"
	fileLimit  = 256
)

// TestLimitedChild is the child's part of TestDescriptorLimit.
func TestLimitedChild(t *testing.T) {
	upstream := os.Getenv(limitedEnv)
	if upstream == "" {
		return
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: fileLimit, Max: fileLimit}); err != nil {
		t.Fatal(err)
	}
	g := startAt(t, upstream, h1Backend)
	admin := &http.Server{Handler: g.observer.Handler()}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go admin.Serve(ln)
	defer admin.Close()
	fmt.Printf("ready %s %s\n", g.addr, ln.Addr())
	io.Copy(io.Discard, os.Stdin) // until the parent is done
}

// limited starts the child and returns its address and that of its metrics.
func limited(t *testing.T, upstream string) (addr, metrics string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestLimitedChild$")
	cmd.Env = append(os.Environ(), limitedEnv+"="+upstream)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the gateway ended with %v", err)
		}
	})
	if _, err := fmt.Fscanf(out, "ready %s %s\n", &addr, &metrics); err != nil {
		t.Fatal(err)
	}
	return addr, metrics
}

// scrape reads one metric of the child.
func scrape(t *testing.T, metrics, name string) float64 {
	t.Helper()
	resp, err := http.Get("http://" + metrics)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, name+" "); ok {
			f, _ := strconv.ParseFloat(strings.TrimSpace(v), 64)
			return f
		}
	}
	return -1
}

// At the descriptor limit new connections wait, or get a 503, streams in flight go on, and when there is room again all
// is as before.
func TestDescriptorLimit(t *testing.T) {
	stop := make(chan struct{})
	up := upstreamOfStreams(t, stop)
	addr, metrics := limited(t, up)
	g := &gateway{t: t, addr: addr}

	const streams, flood = 60, 400
	var wg sync.WaitGroup
	wg.Add(streams)
	for i := range streams {
		c := g.dial()
		c.SetDeadline(time.Now().Add(patience))
		c.send(fmt.Sprintf("GET /stream/%d HTTP/1.1\r\nHost: h\r\n\r\n", i))
		if _, err := c.r.Peek(1); err != nil {
			t.Fatalf("stream %d: %v", i, err)
		}
		go func() {
			defer wg.Done()
			defer c.Close()
			resp, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Errorf("stream %d: %v", i, err)
				return
			}
			b, err := io.ReadAll(resp.Body)
			if err != nil || !strings.HasSuffix(string(b), "end") {
				t.Errorf("stream %d: %d bytes, %v", i, len(b), err)
			}
		}()
	}
	var others []*client
	for range flood {
		c := g.dial() // the kernel takes it, whether or not the gateway does
		others = append(others, c)
		c.SetDeadline(time.Now().Add(patience))
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	}
	answered, refused := 0, 0
	for _, c := range others[:100] { // those that are answered make room for the rest, kept open as they are
		switch resp, _ := c.answer("GET"); resp.StatusCode {
		case 200:
			answered++
		case 503:
			refused++
		default:
			t.Errorf("status %d", resp.StatusCode)
		}
	}
	if n := scrape(t, metrics, "nantian_accept_waits_total"); n < 1 {
		t.Errorf("nantian_accept_waits_total is %v", n)
	}
	if open := scrape(t, metrics, "process_open_fds"); open > fileLimit {
		t.Errorf("%v files are open", open)
	}
	close(stop)
	wg.Wait()
	for _, c := range others[100:] {
		resp, _ := c.answer("GET")
		if resp.StatusCode == 200 {
			answered++
		}
		c.Close()
	}
	for _, c := range others[:100] {
		c.Close()
	}
	t.Logf("%d answered, %d refused, %v waits", answered, refused, scrape(t, metrics, "nantian_accept_waits_total"))
	if status, body := g.dial().get("/again"); status != 200 || body != "/again" {
		t.Errorf("afterwards: %d %q", status, body)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for ctx.Err() == nil && scrape(t, metrics, "nantian_connections") > 1 {
		time.Sleep(10 * time.Millisecond)
	}
	if n := scrape(t, metrics, "nantian_connections"); n > 1 {
		t.Errorf("%v connections are left", n)
	}
}

// upstreamOfStreams streams until stop is closed, at paths that say so, and answers with the path at others.
func upstreamOfStreams(t *testing.T, stop <-chan struct{}) string {
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/stream/") {
			io.WriteString(w, r.URL.Path)
			return
		}
		for {
			io.WriteString(w, "piece ")
			w.(http.Flusher).Flush()
			select {
			case <-stop:
				io.WriteString(w, "end")
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return ln.Addr().String()
}
