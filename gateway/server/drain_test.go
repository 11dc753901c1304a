package server_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/config"
)

// Connections that serve nothing do not hold a drain up: idle ones, new ones that have said nothing, and half a head.
func TestDrainClosesIdle(t *testing.T) {
	g := start(t, http.HandlerFunc(echo))
	idle, fresh := g.dial(), g.dial()
	idle.get("/")
	for _, c := range g.clients() {
		resp, err := c.Get("http://" + g.addr)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	eventually(t, "all are accepted", func() bool { return g.metric("nantian_connections") == "4" })
	if err := g.server.Shutdown(timeout(t, patience)); err != nil {
		t.Error(err)
	}
	idle.ended()
	fresh.ended()
}

// A request that is being served when the drain begins is the last of its connection.
func TestDrainSaysClose(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-release
		io.WriteString(w, "late")
	}))
	c := g.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	<-asked
	done := make(chan error, 1)
	go func() { done <- g.server.Shutdown(timeout(t, patience)) }()
	g.refuses()
	close(release)
	if resp, body := c.answer("GET"); body != "late" || !resp.Close {
		t.Errorf("%q, close %v", body, resp.Close)
	}
	c.ended()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// At the deadline what still runs is cut, on both sides, and nothing is left behind.
func TestDrainDeadline(t *testing.T) {
	asked, left := make(chan struct{}, 2), make(chan struct{}, 2)
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "begin")
		w.(http.Flusher).Flush()
		asked <- struct{}{}
		<-r.Context().Done()
		left <- struct{}{}
	}))
	for name, c := range g.clients() {
		resp, err := c.Get("http://" + g.addr)
		if err != nil {
			t.Fatal(err)
		}
		<-asked
		defer resp.Body.Close()
		defer func() {
			if _, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("%s: a stream that was cut ended well", name)
			}
		}()
	}
	if err := g.server.Shutdown(timeout(t, 100*time.Millisecond)); err == nil {
		t.Error("the drain ended before what still ran")
	}
	for range 2 {
		select {
		case <-left:
		case <-time.After(patience):
			t.Fatal("an upstream was not told")
		}
	}
}

// A port that goes away serves what it is at, and its connections end with that.
func TestPortRemoved(t *testing.T) {
	g := start(t, http.HandlerFunc(echo))
	idle := g.dial()
	idle.get("/")
	clients := g.clients()
	for _, c := range clients {
		resp, err := c.Get("http://" + g.addr)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if err := g.store.Apply(context.Background(), config.Update{Full: true}); err != nil {
		t.Fatal(err)
	}
	idle.ended()
	eventually(t, "all connections end", func() bool { return g.metric("nantian_connections") == "0" })
	if c, err := net.Dial("tcp", g.addr); err == nil {
		c.Close()
		t.Error("the port is still open")
	}
}

// A hundred configuration changes while requests and streams run: no request fails, streams are whole.
func TestSwapsUnderLoad(t *testing.T) {
	const streams, pieces = 50, 60
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.URL.Query().Get("id")
		if r.URL.Path != "/stream" {
			io.Copy(io.Discard, r.Body)
			w.Write(bodyOf(id, 1000))
			return
		}
		for range pieces {
			w.Write(bodyOf(id, 100))
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	}))
	clients := g.clients()
	fetch := func(c *http.Client, path, id string, want []byte) {
		resp, err := c.Get("http://" + g.addr + path + "?id=" + id)
		if err != nil {
			t.Error(err)
			return
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || err != nil || !bytes.Equal(b, want) {
			t.Errorf("%s %s: %d, %v, %d bytes of %d", path, id, resp.StatusCode, err, len(b), len(want))
		}
	}
	var wg sync.WaitGroup
	var stop atomic.Bool
	var n atomic.Int64
	for name, c := range clients {
		for i := range streams / 2 {
			id := fmt.Sprint(name, i)
			wg.Go(func() { fetch(c, "/stream", id, bytes.Repeat(bodyOf(id, 100), pieces)) })
		}
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				id := fmt.Sprint("r", name, i)
				fetch(c, "/", id, bodyOf(id, 1000))
				n.Add(1)
			}
		})
		defer c.CloseIdleConnections()
	}
	for i := range 100 {
		u := oneRoute(port(g), g.upstream, h1Backend)
		rules(u)[0].Name = strconv.Itoa(i)
		if i%10 == 9 { // the cluster is made anew as well
			for _, r := range u.Set {
				if b := r.GetBackend(); b != nil {
					b.LoadBalancing = &xdsv1.LoadBalancing{MaxInFlight: uint32(1000 + i)}
				}
			}
		}
		if err := g.store.Apply(context.Background(), u); err != nil {
			t.Fatal(err)
		}
		time.Sleep(8 * time.Millisecond)
	}
	stop.Store(true)
	wg.Wait()
	t.Logf("%d requests beside the streams", n.Load())
}
