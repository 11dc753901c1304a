//go:build !race

package bpe

import (
	"bytes"
	"runtime"
	"testing"
	"unicode/utf8"
)

// The race detector makes sync.Pool drop workers at random, so these don't run under it.

func TestNoAllocations(t *testing.T) {
	for _, name := range Names() {
		e := mustOpen(t, name)
		for _, kind := range kinds {
			text := megabyte(t, kind)[:1<<16]
			text = bytes.ToValidUTF8(text, nil) // cut in a character it would need a copy
			if n := testing.AllocsPerRun(5, func() { e.Count(text) }); n > 0 {
				t.Errorf("%s: %s: %v allocations", name, kind, n)
			}
		}
		for _, a := range adversarial() {
			if !utf8.Valid(a.text) {
				continue // the copy of a large one is not kept
			}
			if n := testing.AllocsPerRun(2, func() { e.Count(a.text) }); n > 0 {
				t.Errorf("%s: %s: %v allocations", name, a.name, n)
			}
		}
	}
}

func TestMemory(t *testing.T) {
	const limit = 20 << 20
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	text := megabyte(t, "english")
	for _, name := range Names() {
		before := heap()
		e := mustOpen(t, name)
		w := e.workers.New().(*worker)
		w.text(text)
		got := heap() - before
		t.Logf("%s: %.1f MB with a worker", name, float64(got)/(1<<20))
		if got > limit {
			t.Errorf("%s keeps %d bytes, want at most %d", name, got, limit)
		}
		runtime.KeepAlive(e)
		runtime.KeepAlive(w)
	}
}
