package xdstest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	control "github.com/nantian-gw/nantian/controlplane/xds"
)

// counter is a Metrics.
type counter struct {
	mu               sync.Mutex
	up, down, failed int
	refused, bytes   int
}

func (c *counter) Connected(up bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if up {
		c.up++
	} else {
		c.down++
	}
}

func (c *counter) Failed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed++
}

func (c *counter) Response(_ string, bytes int, refused bool, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes += bytes
	if refused {
		c.refused++
	}
}

func (c *counter) failures() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// Attempts get rarer while nobody answers, and an outage is told once.
func TestBackoff(t *testing.T) {
	l, m, h := &line{}, &counter{}, &lines{}
	o := options(l, newSink())
	o.Metrics, o.Log = m, slog.New(h)
	o.MinBackoff, o.MaxBackoff = 10*time.Millisecond, 200*time.Millisecond
	_, stop := run(t, o)
	time.Sleep(time.Second)
	stop()
	// The waits double from 10 ms to 200 ms and are each at least a quarter: at most about 25 attempts; on average 12.
	if n := m.failures(); n < 4 || n > 30 {
		t.Errorf("%d attempts in a second", n)
	}
	if h.warnings() != 1 {
		t.Errorf("%d warnings of one outage", h.warnings())
	}
}

// A refusal is not answered with a storm of attempts either.
func TestBackoffWhenRefused(t *testing.T) {
	refusing := authenticator(func(context.Context) (control.Identity, error) { return control.Identity{}, errors.New("who are you?") })
	p, m := start(t, control.Options{Authenticator: refusing}), &counter{}
	o := options(&line{plane: p}, newSink())
	o.Metrics = m
	o.MinBackoff, o.MaxBackoff = 10*time.Millisecond, 200*time.Millisecond
	run(t, o)
	time.Sleep(time.Second)
	if n := m.failures(); n < 4 || n > 30 {
		t.Errorf("%d attempts in a second", n)
	}
	c := open(t, p)
	c.refused(codes.Unauthenticated)
}

type authenticator func(context.Context) (control.Identity, error)

func (a authenticator) Authenticate(ctx context.Context) (control.Identity, error) { return a(ctx) }

// lines is a slog.Handler that counts warnings.
type lines struct {
	mu sync.Mutex
	n  int
}

func (h *lines) Enabled(context.Context, slog.Level) bool { return true }
func (h *lines) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.Level >= slog.LevelWarn {
		h.n++
	}
	return nil
}
func (h *lines) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h *lines) WithGroup(string) slog.Handler      { return h }
func (h *lines) warnings() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n
}
