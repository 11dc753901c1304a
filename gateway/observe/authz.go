package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nantian-gw/nantian/gateway/authz"
)

// authzMetrics are the instruments of authorization servers.
type authzMetrics struct {
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
}

func newAuthzMetrics() authzMetrics {
	return authzMetrics{
		requests:  counters("nantian_external_auth_requests_total", "Requests that an authorization server (filter ExternalAuth) was asked about, by the server and result: allowed, denied, failed (no answer that is one), overflow (too many not answered yet), too_large (the body), client (left, or its body broke off).", "backend", "result"),
		durations: histograms("nantian_external_auth_duration_seconds", "Time that a request waits for an authorization server, reading the body included where that is shown to it.", durationBuckets, "backend"),
	}
}

func (m *authzMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.requests, m.durations}
}

// ExternalAuthMeter holds the instruments of one authorization server.
type ExternalAuthMeter struct {
	results map[string]prometheus.Counter
	took    prometheus.Observer
}

var _ authz.Meter = (*ExternalAuthMeter)(nil)

// ExternalAuth makes the instruments of the authorization server at a backend, "<ns>/<service>:<port>".
func (m *Metrics) ExternalAuth(backend string) *ExternalAuthMeter {
	e := &ExternalAuthMeter{results: map[string]prometheus.Counter{}, took: m.authz.durations.WithLabelValues(backend)}
	for _, result := range authz.Results {
		e.results[result] = m.authz.requests.WithLabelValues(backend, result)
	}
	return e
}

// Asked implements authz.Meter.
func (e *ExternalAuthMeter) Asked(result string, took time.Duration) {
	if c := e.results[result]; c != nil {
		c.Inc()
	}
	e.took.Observe(took.Seconds())
}
