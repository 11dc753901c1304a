package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nantian-gw/nantian/gateway/l4"
)

// sessionMetrics are the instruments of connections and datagrams that are no HTTP.
type sessionMetrics struct {
	total     *prometheus.CounterVec
	open      *prometheus.GaugeVec
	durations *prometheus.HistogramVec
	bytes     *prometheus.CounterVec
	dropped   *prometheus.CounterVec
}

// Buckets in seconds: a query takes a millisecond, a connection to a database lasts for days.
var sessionBuckets = []float64{.001, .01, .1, 1, 10, 60, 600, 3600, 21600, 86400}

func newSessionMetrics() sessionMetrics {
	return sessionMetrics{
		total: counters("nantian_sessions_total", "Connections of TCP and TLS listeners, and clients of UDP ones, that have ended, by outcome.", "gateway", "route", "backend", "protocol", "outcome"),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "nantian_open_sessions", Help: "Sessions under way."},
			[]string{"gateway", "route", "protocol"}),
		durations: histograms("nantian_session_duration_seconds", "How long sessions lasted.", sessionBuckets, "gateway", "route"),
		bytes:     counters("nantian_session_bytes_total", "Bytes of sessions that have ended, by direction: received from clients, sent to them.", "gateway", "route", "direction"),
		dropped:   counters("nantian_datagrams_dropped_total", "Datagrams of clients that went nowhere, by reason.", "reason"),
	}
}

func (m *sessionMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.total, m.open, m.durations, m.bytes, m.dropped}
}

// SessionOpened implements l4.Observer.
func (o *Observer) SessionOpened(s *l4.Session) {
	r := routeOf(s.Route)
	o.session.open.WithLabelValues(r.Gateway, r.Route, s.Protocol).Inc()
}

// SessionEnded implements l4.Observer.
func (o *Observer) SessionEnded(s *l4.Session, opened bool) {
	took := time.Since(s.Start)
	r, m := routeOf(s.Route), &o.session
	if opened {
		m.open.WithLabelValues(r.Gateway, r.Route, s.Protocol).Dec()
		m.durations.WithLabelValues(r.Gateway, r.Route).Observe(took.Seconds())
		m.bytes.WithLabelValues(r.Gateway, r.Route, "received").Add(float64(s.Received))
		m.bytes.WithLabelValues(r.Gateway, r.Route, "sent").Add(float64(s.Sent))
	}
	m.total.WithLabelValues(r.Gateway, r.Route, s.Backend, s.Protocol, string(s.Outcome)).Inc()
	if o.Access != nil && !o.quiet.Load() {
		o.Access.add(func(b []byte) []byte { return appendSession(b, s, took) })
	}
}

// DatagramDropped implements l4.Observer.
func (o *Observer) DatagramDropped(why l4.Drop) { o.session.dropped.WithLabelValues(string(why)).Inc() }

// appendSession is the line of a session.
func appendSession(dst []byte, s *l4.Session, took time.Duration) []byte {
	l := newLine(dst, s.Start)
	var room [64]byte
	l.bytes("client", s.Client.Addr().AppendTo(room[:0]))
	l.text("protocol", s.Protocol)
	l.optional("server_name", s.ServerName)
	l.text("outcome", string(s.Outcome))
	l.millis("duration_ms", took)
	l.int("bytes_received", s.Received)
	l.int("bytes_sent", s.Sent)
	if r := s.Route; r != nil {
		l.optional("gateway", r.Gateway)
		l.optional("listener", r.Listener)
		l.optional("kind", r.Kind)
		l.optional("route", r.Route)
	}
	l.optional("backend", s.Backend)
	return append(l.b, "}\n"...)
}
