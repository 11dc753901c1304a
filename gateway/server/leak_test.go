package server_test

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"
)

// After 10,000 requests and 1,000 streams that their clients abandon, goroutines and heap are back where they started.
func TestNothingLeaks(t *testing.T) {
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "hello")
		if r.URL.Path == "/stream" {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	}))
	clients := g.clients()
	round := func(requests, streams int) {
		for _, c := range clients {
			each(8, requests/2, func() { fetchAll(t, c, "http://"+g.addr) })
			each(8, streams/2, func() { abandon(t, c, "http://"+g.addr+"/stream") })
			c.CloseIdleConnections()
		}
	}
	round(200, 200) // pools fill
	goroutines, heap := settle(g)
	round(10000, 1000)
	eventually(t, "goroutines end", func() bool { n, _ := settle(g); return n <= goroutines+5 })
	var after uint64
	eventually(t, "the heap is what it was", func() bool { _, after = settle(g); return after <= heap+2<<20 })
	t.Logf("%d goroutines and %d KiB at first, %d KiB at last", goroutines, heap>>10, after>>10)
}

// settle waits until the clients' connections have gone, and counts.
func settle(g *gateway) (goroutines int, heap uint64) {
	eventually(g.t, "connections end", func() bool { return g.metric("nantian_connections") == "0" })
	time.Sleep(20 * time.Millisecond)
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), m.HeapAlloc
}

// each calls f n times from some workers.
func each(workers, n int, f func()) {
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range n / workers {
				f()
			}
		})
	}
	wg.Wait()
}

func fetchAll(t *testing.T, c *http.Client, url string) {
	resp, err := c.Get(url)
	if err != nil {
		t.Error(err)
		return
	}
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "hello" {
		t.Errorf("%q, %v", b, err)
	}
	resp.Body.Close()
}

func abandon(t *testing.T, c *http.Client, url string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
	resp, err := c.Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	io.ReadFull(resp.Body, make([]byte, 5))
	resp.Body.Close()
}
