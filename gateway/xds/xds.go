// Package xds gets a data plane its configuration from a control plane: it subscribes by delta ADS to all of the two types,
// turns responses into config.Updates, and answers with the Sink's verdict. It owns what was received, the connection, and
// the last good set on disk.
//
// It must not import the control plane. What arrives is kept, valid or not, and what serves is the Sink's: after a response
// that was refused, the one that repairs it brings all of both to life (the server never sends the refused change again).
package xds

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/config"
)

// Options configure a Client. The zero value of a field is its default.
type Options struct {
	// Address is the control plane's, "host:port". Of several addresses behind a name any one is taken. Required.
	Address string
	// TLS is asked before each connection, so that new certificates are used without closing those that are open; nil: plain
	// text, for tests and loopback only.
	TLS func() (*tls.Config, error)
	// Token is asked for a bearer token before each stream; nil: none. It is sent over TLS only.
	Token func() (string, error)
	// Node is what the data plane says of itself.
	Node Node
	// Sink takes the configuration. Required.
	Sink config.Sink
	// Dir keeps the last set that was applied, to start with when there is no control plane; empty: it is not kept. Key is
	// asked for the 32 bytes that it is encrypted with, secrets and all; with Dir it is required. A set that Key does not
	// open is ignored, and fetched again.
	Dir string
	Key func() ([]byte, error)
	// Log takes what happens to the connection; nil: nothing.
	Log *slog.Logger
	// Metrics counts; nil: nothing.
	Metrics Metrics
	// MinBackoff and MaxBackoff bound the wait before another attempt, which doubles; zero: 1 s and 30 s.
	MinBackoff, MaxBackoff time.Duration
	// MaxWait is how long a change waits for the endpoints of backends that are new in it; zero: 1 s.
	MaxWait time.Duration
	// Dial makes connections; nil: TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

// Node is what a data plane says of itself. Only Level decides anything; whose configuration it gets follows from its
// credentials.
type Node struct {
	// ID names the data plane in the control plane's logs and status, for example the pod.
	ID string
	// Group is the one that it expects to be of; a control plane that knows better refuses it. Empty: any.
	Group string
	// Build is its version, for people.
	Build string
	// Level is its schema level; zero: xdsv1.Level.
	Level uint32
}

// Metrics counts what a Client does. Its methods are called by one goroutine at a time and must not block.
type Metrics interface {
	// Connected: a stream is open, or no longer.
	Connected(up bool)
	// Failed: an attempt to open a stream, or a stream, has ended with an error.
	Failed()
	// Response of type "resources" or "endpoints" with its size on the wire, whether it was refused, and the time that Apply
	// took.
	Response(kind string, bytes int, refused bool, took time.Duration)
}

type noMetrics struct{}

func (noMetrics) Connected(bool)                            {}
func (noMetrics) Failed()                                   {}
func (noMetrics) Response(string, int, bool, time.Duration) {}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = noMetrics{}
	}
	if o.Node.Level == 0 {
		o.Node.Level = xdsv1.Level
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&o.MinBackoff, time.Second}, {&o.MaxBackoff, 30 * time.Second}, {&o.MaxWait, time.Second}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return o
}

// Client feeds a Sink. Ready may be called at any time; Run once.
type Client struct {
	o       Options
	disk    *disk // nil: nothing is kept
	backoff backoff

	// What follows belongs to Run.
	received *received
	fed      bool            // the Sink has been given a full set
	verdict  error           // of the Sink on what was received, when it last got any
	serving  bool            // the Sink serves what was received: it neither refused it nor has yet to get it
	leaving  map[string]bool // endpoints that were removed while resources that use them may still serve
	heard    bool            // this attempt has brought a response
	saves    saves

	restored atomic.Bool // serves the set from disk
	current  sync.Map    // kinds whose first response was handled
}

// New makes a Client.
func New(o Options) (*Client, error) {
	if o.Address == "" || o.Sink == nil {
		return nil, errors.New("xds: Options.Address and Options.Sink are required")
	}
	c := &Client{o: o.withDefaults(), received: newReceived(), leaving: map[string]bool{}}
	c.backoff = backoff{min: c.o.MinBackoff, max: c.o.MaxBackoff}
	if o.Dir != "" {
		if o.Key == nil {
			return nil, errors.New("xds: Options.Dir needs Options.Key: what is kept has secrets in it")
		}
		c.disk = &disk{dir: o.Dir, group: o.Node.Group, key: o.Key}
	}
	return c, nil
}

// Ready tells whether there is a configuration to serve: the first response of both types has been handled, or the last good
// set was found on disk.
func (c *Client) Ready() error {
	if c.restored.Load() {
		return nil
	}
	for _, k := range kinds {
		if _, ok := c.current.Load(k); !ok {
			return errors.New("no " + k.name + " from the control plane yet")
		}
	}
	return nil
}

// Run serves the set on disk, if any, and then what the control plane sends, until ctx ends. It connects again for ever.
func (c *Client) Run(ctx context.Context) error {
	c.restore(ctx)
	defer c.saveAll()
	told := ""
	for {
		start := time.Now()
		c.heard = false
		err := c.connect(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if c.heard {
			told = ""
		}
		c.o.Metrics.Failed()
		wait := c.backoff.next(time.Since(start))
		level := slog.LevelDebug
		if told != err.Error() { // an outage is told once for each reason, not with each attempt
			told, level = err.Error(), slog.LevelWarn
		}
		c.o.Log.Log(ctx, level, "no configuration from the control plane", "address", c.o.Address, "error", err, "retry", wait)
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

// sleep waits; it is false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
