package rig

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// given are the ports that Port has handed out.
var given struct {
	sync.Mutex
	ports map[int]bool
}

// Port finds a port of the loopback interface that nobody listens at. It is below those that the system takes for
// outgoing connections, so that it still is free when a process comes to listen there.
func Port(t testing.TB) int {
	t.Helper()
	given.Lock()
	defer given.Unlock()
	if given.ports == nil {
		given.ports = map[int]bool{}
	}
	for range 1000 {
		port := 17000 + rand.IntN(15000)
		if given.ports[port] {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		l.Close()
		given.ports[port] = true
		return port
	}
	t.Fatal("no free port")
	return 0
}
