package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/test/rig"
)

// server greets each connection with its name and keeps it until the client leaves, and answers each datagram with its name,
// both at one port.
type server struct {
	name string
	port int
	l    net.Listener
	u    net.PacketConn
}

func newServer(t testing.TB, name string) *server {
	t.Helper()
	s := &server{name: name}
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if s.u, err = net.ListenPacket("udp", l.Addr().String()); err == nil {
			s.l, s.port = l, l.Addr().(*net.TCPAddr).Port
			break
		}
		l.Close()
	}
	if s.l == nil {
		t.Fatal("no port is free for TCP and UDP")
	}
	t.Cleanup(s.close)
	go s.greet()
	go s.answer()
	return s
}

func (s *server) close() {
	s.l.Close()
	s.u.Close()
}

func (s *server) greet() {
	for {
		c, err := s.l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			io.WriteString(c, s.name)
			io.Copy(io.Discard, c)
		}()
	}
}

func (s *server) answer() {
	b := make([]byte, 1500)
	for {
		_, from, err := s.u.ReadFrom(b)
		if err != nil {
			return
		}
		s.u.WriteTo([]byte(s.name), from)
	}
}

const streams = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec: {gatewayClassName: nantian, listeners: [{name: tcp, protocol: TCP, port: %[1]d}, {name: udp, protocol: UDP, port: %[1]d}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: r}
spec:
  parentRefs: [{name: g, sectionName: tcp}]
  rules: [{backendRefs: [{name: db, port: 80}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: UDPRoute
metadata: {name: r}
spec:
  parentRefs: [{name: g, sectionName: udp}]
  rules: [{backendRefs: [{name: db, port: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {ports: [{name: tcp, port: 80}, {name: udp, port: 80, protocol: UDP}]}
---
apiVersion: gateway.nantian.dev/v1alpha1
kind: BackendLBPolicy
metadata: {name: db}
spec:
  targetRefs: [{group: "", kind: Service, name: db}]
  %[2]s
`

// line is a gateway before servers.
type line struct {
	*rig.Gateway
	t    testing.TB
	addr string
}

func stream(t testing.TB, servers []*server, policy ...string) *line {
	t.Helper()
	port := rig.Port(t)
	var b strings.Builder
	fmt.Fprintf(&b, streams, port, strings.Join(policy, "\n  "))
	for _, s := range servers {
		fmt.Fprintf(&b, `
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-%s, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{name: tcp, port: %[2]d}, {name: udp, port: %[2]d, protocol: UDP}]
endpoints: [{addresses: [127.0.0.1]}]
`, s.name, s.port)
	}
	return &line{t: t, addr: fmt.Sprintf("127.0.0.1:%d", port), Gateway: rig.Start(t, rig.Files{"gateway.yaml": b.String()})}
}

// greeting connects and gives who answered, "" if the connection was refused, and what ends it.
func (l *line) greeting() (name string, end func()) {
	l.t.Helper()
	c, err := net.Dial("tcp", l.addr)
	if errors.Is(err, syscall.ECONNRESET) { // refused before the dialler had looked at it
		return "", func() {}
	}
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(rig.Patience))
	b := make([]byte, 1)
	if _, err := io.ReadFull(c, b); err != nil {
		return "", func() { c.Close() }
	}
	return string(b), func() { c.Close() }
}

// datagram asks from a new address and gives who answered.
func (l *line) datagram() string {
	l.t.Helper()
	c, err := net.Dial("udp", l.addr)
	if err != nil {
		l.t.Fatal(err)
	}
	defer c.Close()
	b := make([]byte, 10)
	for range 60 { // datagrams may be lost
		c.Write([]byte("?"))
		c.SetReadDeadline(time.Now().Add(time.Second))
		if n, err := c.Read(b); err == nil {
			return string(b[:n])
		}
	}
	l.t.Fatal("no datagram came back")
	return ""
}

// shares counts who answers connections, or datagrams, that follow each other.
func (l *line) shares(n int, ask func() string) map[string]int {
	got := map[string]int{}
	for range n {
		got[ask()]++
	}
	return got
}

func (l *line) connect() string {
	name, end := l.greeting()
	end()
	return name
}

func TestConnectionsOfOneSource(t *testing.T) {
	servers := []*server{newServer(t, "a"), newServer(t, "b"), newServer(t, "c")}
	l := stream(t, servers, "algorithm: ConsistentHash", "consistentHash: {type: SourceIP}")
	tcp, udp := l.shares(12, l.connect), l.shares(12, l.datagram)
	if len(tcp) != 1 || len(udp) != 1 {
		t.Errorf("one source reached %v by TCP and %v by UDP, want one server each", tcp, udp)
	}
	l = stream(t, servers, "algorithm: RoundRobin")
	tcp, udp = l.shares(12, l.connect), l.shares(12, l.datagram)
	if tcp["a"] != 4 || tcp["b"] != 4 || tcp["c"] != 4 || len(udp) != 3 {
		t.Errorf("in turn: %v by TCP and %v by UDP", tcp, udp)
	}
}

func TestConnectionsInFlight(t *testing.T) {
	servers := []*server{newServer(t, "a"), newServer(t, "b")}
	l := stream(t, servers, "circuitBreaker: {maxRequests: 2, maxRequestsPerEndpoint: 1}")
	one, endOne := l.greeting()
	two, endTwo := l.greeting()
	if one == "" || two == "" || one == two {
		t.Errorf("the first connections reached %q and %q, want one each", one, two)
	}
	if three, _ := l.greeting(); three != "" {
		t.Errorf("a third connection reached %q", three)
	}
	endOne()
	rig.Eventually(t, rig.Patience, "the place is free again", func() bool {
		name, end := l.greeting()
		defer end()
		return name == one
	})
	endTwo()
}

func TestConnectionsAvoidWhatIsDown(t *testing.T) {
	t.Run("seen", func(t *testing.T) {
		servers := []*server{newServer(t, "a"), newServer(t, "b")}
		l := stream(t, servers, "outlierEjection: {consecutiveGatewayErrors: 2, baseEjectionTime: 1h}")
		servers[0].close()
		if got := l.shares(12, l.connect); got["b"] != 12 {
			t.Errorf("%v, want all of b", got)
		}
		l.Counted(1, "nantian_backend_ejections_total")
	})
	t.Run("asked", func(t *testing.T) {
		servers := []*server{newServer(t, "a"), newServer(t, "b")}
		l := stream(t, servers, "healthCheck: {type: TCP, interval: 100ms, unhealthyThreshold: 1}")
		servers[0].close()
		rig.Eventually(t, rig.Patience, "one endpoint is fit", func() bool {
			return l.Metric("nantian_backend_endpoints", `backend="default/db:80"`, `state="fit"`) == 1
		})
		if got := l.shares(12, l.connect); got["b"] != 12 {
			t.Errorf("%v, want all of b", got)
		}
	})
}
