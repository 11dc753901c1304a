package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/test/rig"
)

// bounds is a RoutePolicy of the lines for the Gateway of balance.
func bounds(lines ...string) string {
	return boundsAt("{group: gateway.networking.k8s.io, kind: Gateway, name: g}", lines...)
}

func boundsAt(target string, lines ...string) string {
	return `
---
apiVersion: gateway.nantian.dev/v1alpha1
kind: RoutePolicy
metadata: {name: bounds}
spec:
  targetRefs: [` + target + `]
  ` + strings.Join(lines, "\n  ") + "\n"
}

// upload sends a body whose length is not told, over HTTP/1.1 or HTTP/2.
func (b *balanced) upload(c *http.Client, path string, bytes int) (int, string) {
	b.t.Helper()
	resp, err := c.Post(fmt.Sprintf("http://127.0.0.1:%d%s", b.port, path), "text/plain", struct{ io.Reader }{strings.NewReader(strings.Repeat("x", bytes))})
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// RoutePolicies hold over both versions of HTTP, an edit is live, and one that is refused leaves what was in force.
func TestBoundsAreLive(t *testing.T) {
	b := balance(t, podsOf(t, 1), []string{"algorithm: RoundRobin"})
	two := &http.Client{Transport: &http.Transport{Protocols: new(http.Protocols)}}
	two.Transport.(*http.Transport).Protocols.SetUnencryptedHTTP2(true)
	holds := func(bytes, want int) {
		t.Helper()
		for version, c := range map[string]*http.Client{"HTTP/1.1": client, "HTTP/2": two} {
			rig.Eventually(t, rig.Patience, version+": the limit holds", func() bool {
				status, _ := b.upload(c, "/", bytes)
				return status == want
			})
		}
	}
	holds(3000, 200)
	b.Put("bounds.yaml", bounds("limits: {requestBody: 2000}"))
	holds(3000, 413)
	holds(2000, 200)
	if _, text := b.upload(two, "/", 2001); !strings.Contains(text, "RoutePolicy default/bounds") || !strings.Contains(text, "2000") {
		t.Errorf("%q names neither policy nor limit", text)
	}
	from := len(b.Messages.String())
	b.Put("bounds.yaml", bounds("limits: {requestBody: -1}"))
	if b.Messages.Line(from, rig.Patience, "bounds", "requestBody") == "" {
		t.Error("nothing is said of a policy that is refused")
	}
	holds(3000, 413)
	holds(2000, 200)
	b.Put("bounds.yaml", bounds("timeouts: {request: 200ms}"))
	holds(3000, 200)
	rig.Eventually(t, rig.Patience, "a request that takes long is 504", func() bool {
		status, _ := b.get("/hold")
		return status == 504
	})
}

// Requests are counted together by gateways that share a Redis.
func TestRatesOfTwoGateways(t *testing.T) {
	store, pods := startRedis(t), podsOf(t, 1)
	policy := []string{"algorithm: RoundRobin"}
	var both []*balanced
	for range 2 {
		b := balance(t, pods, policy, "--redis", store.url(), "--replicas", "2")
		b.Put("bounds.yaml", bounds("rateLimits: [{name: hour, requests: 10, window: 1h, key: [{header: X-Team}]}]"))
		both = append(both, b)
	}
	for _, b := range both {
		rig.Eventually(t, rig.Patience, "the policy is in force", func() bool {
			b.get("/", "X-Team", "c")
			return strings.Contains(b.Page("/limits"), "default/bounds")
		})
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	got := map[string]map[int]int{"a": {}, "b": {}}
	for i := range 60 {
		team := "ab"[i%2 : i%2+1]
		all.Go(func() {
			status, _, err := both[i/2%2].try("/", "X-Team", team)
			if err != nil {
				status = 0
			}
			mu.Lock()
			got[team][status]++
			mu.Unlock()
		})
	}
	all.Wait()
	for team, counts := range got {
		if counts[200] != 10 || counts[429] != 20 {
			t.Errorf("team %s: %v, want 10 that pass of 30", team, counts)
		}
	}
}

// Silent connections of a TCPRoute end when its policy says so.
func TestSilentConnectionsEnd(t *testing.T) {
	l := stream(t, []*server{newServer(t, "a")}, "algorithm: RoundRobin")
	l.Put("bounds.yaml", boundsAt("{group: gateway.networking.k8s.io, kind: TCPRoute, name: r}", "timeouts: {idle: 1s}"))
	ends := func() bool {
		c, err := net.Dial("tcp", l.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetReadDeadline(time.Now().Add(5 * time.Second)) // without the policy it is an hour
		_, err = io.Copy(io.Discard, c)
		timeout, ok := err.(net.Error)
		return !ok || !timeout.Timeout()
	}
	rig.Eventually(t, rig.Patience, "a silent connection ends", ends)
}
