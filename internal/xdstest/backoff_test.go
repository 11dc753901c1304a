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

// seldom waits for a second and some failures, which must not be many: the waits double from 10 ms to 200 ms and are each at
// least a quarter, so there are at most about 25 attempts a second; on average 12.
func (c *counter) seldom(t *testing.T) {
	t.Helper()
	begun := time.Now()
	eventually(t, "a second and four attempts", func() bool { return c.failures() >= 4 && time.Since(begun) > time.Second })
	n := c.failures()
	if took := time.Since(begun); float64(n) > 30*took.Seconds() {
		t.Errorf("%d attempts in %v", n, took)
	}
}

// Attempts get rarer while nobody answers, and an outage is told once.
func TestBackoff(t *testing.T) {
	l, m, h := &line{}, &counter{}, &lines{}
	o := options(l, newSink())
	o.Metrics, o.Log = m, slog.New(h)
	o.MinBackoff, o.MaxBackoff = 10*time.Millisecond, 200*time.Millisecond
	_, stop := run(t, o)
	m.seldom(t)
	stop()
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
	m.seldom(t)
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
