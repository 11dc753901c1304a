package observe

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// Observer is told of every exchange when it has ended. It is safe for concurrent use.
type Observer struct {
	*Metrics
	Log *slog.Logger
	// Access may be nil: no access log.
	Access *AccessLog

	quiet atomic.Bool
}

// SetAccessLog switches the access log on and off.
func (o *Observer) SetAccessLog(on bool) { o.quiet.Store(!on) }

// Finished records an exchange; sent is the number of bytes written to the client.
func (o *Observer) Finished(x *exchange.Exchange, sent int64) {
	took := time.Since(x.Start)
	status := x.Resp.StatusCode()
	if x.Model.Aborted || x.Left {
		status = 499
	}
	o.record(x, status, sent, took)
	if o.Access != nil && !o.quiet.Load() {
		o.Access.record(x, status, sent, took)
	}
}

// Panicked counts and logs a bug.
func (o *Observer) Panicked(err error, stack []byte) {
	o.panics.Inc()
	o.Log.Error("panic while serving a request", "error", err, "stack", string(stack))
}

// Connections moves the number of open connections.
func (o *Observer) Connections(delta int) { o.connections.Add(float64(delta)) }

// AcceptWaited counts a connection that had to wait.
func (o *Observer) AcceptWaited() { o.acceptWaits.Inc() }

// LogDropped counts a line of the access log that was lost.
func (o *Observer) LogDropped() { o.logDropped.Inc() }
