//go:build !race

package server_test

import "testing"

// A small request that is forwarded over HTTP/1.1 leaves no garbage behind: client, gateway and upstream of this process
// together do not allocate.
func TestForwardDoesNotAllocate(t *testing.T) {
	g := startAt(t, quickUpstream(t), h1Backend)
	a := newAsker(t, g.addr)
	for range 100 {
		if err := a.ask(); err != nil {
			t.Fatal(err)
		}
	}
	n := testing.AllocsPerRun(2000, func() {
		if err := a.ask(); err != nil {
			t.Fatal(err)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations a request", n)
	}
}
