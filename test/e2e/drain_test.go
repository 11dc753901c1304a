package e2e

import (
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/test/rig"
)

// TestDrain: at SIGTERM new connections are refused, and streams and calls in flight end as they should.
func TestDrain(t *testing.T) {
	t.Parallel()
	w := start(t, allSchemas)
	var rests []io.Reader
	for _, d := range dialects {
		for _, s := range rig.Schemas {
			_, rest := w.begin(t.Context(), ask{dialect: d, model: "sim-" + s.Name, text: "Go on [[simulate: tokens=75 delay=20ms]]"})
			rests = append(rests, rest)
		}
	}
	call := make(chan reply, 1)
	go func() {
		call <- w.chat(ask{dialect: dialects[0], model: "sim-openai", text: "Whole [[simulate: first-token=1s]]"})
	}()
	rig.Eventually(t, rig.Patience, "the call is in flight", func() bool {
		seen := w.sim.Requests()
		return strings.Contains(string(seen[len(seen)-1].Body), "Whole")
	})
	w.Signal(syscall.SIGTERM)
	rig.Eventually(t, rig.Patience, "connections are refused", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", w.port))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	for i, rest := range rests {
		b, err := io.ReadAll(rest)
		if d := dialects[i/len(rig.Schemas)]; err != nil || !strings.Contains(string(b), d.end) {
			t.Errorf("stream %d ended with %v:\n%s", i, err, cut(string(b)))
		}
	}
	(<-call).want(t, 200, "Whole")
	if code := w.Ended(rig.Patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if n := strings.Count(w.Access.String(), "\n"); n != len(rests)+1 {
		t.Errorf("%d lines of access log, want %d", n, len(rests)+1)
	}
}

// TestDrainTimeout bounds what is in flight: it is cut, and does not look like a proper end.
func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	w := start(t, allSchemas, "--drain-timeout", "1s")
	var rests []io.Reader
	for _, d := range dialects {
		_, rest := w.begin(t.Context(), ask{dialect: d, model: "sim-openai", text: "Go on [[simulate: tokens=50000 delay=20ms]]"})
		rests = append(rests, rest)
	}
	begun := time.Now()
	w.Signal(syscall.SIGTERM)
	if code := w.Ended(rig.Patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(begun); took < 900*time.Millisecond {
		t.Errorf("ended after %v", took)
	}
	for i, d := range dialects {
		b, err := io.ReadAll(rests[i])
		if err == nil && !strings.Contains(string(b), d.failed) || strings.Contains(string(b), d.end) {
			t.Errorf("%s: the stream seems to end properly: %v\n%s", d.name, err, cut(string(b)))
		}
	}
	for _, d := range dialects {
		if e := w.Logged(`"path":"` + d.path + `"`); e.Output == 0 {
			t.Errorf("logged %+v", e)
		}
	}
}
