//go:build !race

package simulator

import "testing"

// TestChatDoesNotAllocate is left out under the race detector, where sync.Pool drops what it is given at random.
func TestChatDoesNotAllocate(t *testing.T) {
	serve := New(Options{}).Handler()
	ctx := chatRequest(hello)
	if n := testing.AllocsPerRun(200, func() { serve(ctx) }); n != 0 {
		t.Errorf("%v allocations for an answer, want none", n)
	}
}
