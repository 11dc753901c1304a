package server_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/gateway/config"
)

const (
	udpListener = `listener{key:"listener/a/gw/udp" gateway:"a/gw" name:"udp" port:%d protocol:UDP}`
	udpRoute    = `route{key:"route/udp/a/r" namespace:"a" name:"r" parents{listener:"listener/a/gw/udp"} l4{idle_timeout{nanos:300000000} backends{backend:"backend/a/s/1-udp" weight:1}}}`
	udpBackend  = `backend{key:"backend/a/s/1-udp" protocol:DATAGRAM endpoints{}}`
)

// udpEcho answers datagrams with its name and what they hold.
func udpEcho(t *testing.T, name string) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			c.WriteTo(append([]byte(name), buf[:n]...), from)
		}
	}()
	return c.LocalAddr().String()
}

// ask sends a datagram until an answer comes: the network may lose any.
func ask(t *testing.T, c net.Conn, text string) string {
	t.Helper()
	buf := make([]byte, 1<<16)
	for range 30 {
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(time.Now().Add(time.Second))
		if n, err := c.Read(buf); err == nil {
			return string(buf[:n])
		}
	}
	t.Fatal("no answer")
	return ""
}

func (g *gateway) dialUDP() net.Conn {
	g.t.Helper()
	c, err := net.Dial("udp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { c.Close() })
	return c
}

func startUDP(t *testing.T) *gateway {
	up := udpEcho(t, "one ")
	return startWith(t, builder{}, func(port int) config.Update {
		return texts(t, port, map[string]string{"backend/a/s/1-udp": up}, udpListener, udpRoute, udpBackend)
	})
}

func TestDatagrams(t *testing.T) {
	g := startUDP(t)
	a, b := g.dialUDP(), g.dialUDP()
	for range 3 {
		if got := ask(t, a, "a"); got != "one a" {
			t.Error(got)
		}
		if got := ask(t, b, "b"); got != "one b" {
			t.Error(got)
		}
	}
	big := strings.Repeat("x", 65507-4)
	if got := ask(t, a, big); got != "one "+big {
		t.Errorf("%d bytes", len(got))
	}
	if got := ask(t, a, ""); got != "one " {
		t.Errorf("an empty datagram: %q", got)
	}
	eventually(t, "idle sessions end", func() bool {
		return g.metric(`nantian_open_sessions{gateway="a/gw",protocol="UDP",route="a/r"}`) == "0" &&
			g.metric(`nantian_sessions_total{backend="a/s:1/udp",gateway="a/gw",outcome="ok",protocol="UDP",route="a/r"}`) == "2"
	})
	if got := ask(t, a, "again"); got != "one again" {
		t.Error(got)
	}
}

// A client's next datagram goes to another endpoint when its own is gone.
func TestDatagramsFollowEndpoints(t *testing.T) {
	g := startUDP(t)
	c := g.dialUDP()
	ask(t, c, "x")
	u := texts(t, 1, map[string]string{"backend/a/s/1-udp": udpEcho(t, "two ")})
	if err := g.store.Apply(t.Context(), config.Update{Endpoints: u.Endpoints}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new endpoint answers", func() bool { return ask(t, c, "x") == "two x" })
	if err := g.store.Apply(t.Context(), config.Update{Removed: []string{"route/udp/a/r"}}); err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("y"))
	eventually(t, "the datagram is dropped", func() bool { return g.metric(`nantian_datagrams_dropped_total{reason="no_route"}`) != "" })
}

// TCP and UDP have port numbers of their own; the number of the one is of no matter to the other.
func TestSameNumberForBoth(t *testing.T) {
	up, dgrams := greeter(t, "tcp"), udpEcho(t, "udp ")
	g := startWith(t, builder{}, func(port int) config.Update {
		return texts(t, port, map[string]string{"backend/a/s/1-udp": dgrams, "backend/a/s/1": up.addr},
			udpListener, udpRoute, udpBackend, tcpListener, tcpRoute, tcpBackend)
	})
	if got := g.dial().line("x"); got != "tcp: x" {
		t.Error(got)
	}
	if got := ask(t, g.dialUDP(), "x"); got != "udp x" {
		t.Error(got)
	}
}

// Answers come from the address that was asked, also where the port is open on all of them.
func TestDatagramsOnAllAddresses(t *testing.T) {
	up := udpEcho(t, "one ")
	g := startWith(t, builder{}, func(port int) config.Update {
		return texts(t, port, map[string]string{"backend/a/s/1-udp": up}, strings.Replace(udpListener, "port", `addresses:"::" port`, 1), udpRoute, udpBackend)
	})
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "127.3.0.1"} {
		g.addr = net.JoinHostPort(host, fmt.Sprint(port(g)))
		if got := ask(t, g.dialUDP(), host); got != "one "+host {
			t.Error(got)
		}
	}
}

// A shutdown waits for sessions in use and no longer.
func TestDatagramsDrain(t *testing.T) {
	g := startUDP(t)
	c := g.dialUDP()
	ask(t, c, "x")
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		done <- g.server.Shutdown(ctx)
	}()
	if got := ask(t, c, "y"); !bytes.HasPrefix([]byte(got), []byte("one")) {
		t.Error(got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
