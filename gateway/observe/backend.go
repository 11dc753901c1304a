package observe

import "github.com/prometheus/client_golang/prometheus"

// backendMetrics are the instruments of backends: their endpoints, and the calls that were not made.
type backendMetrics struct {
	endpoints *prometheus.GaugeVec
	ejections *prometheus.CounterVec
	refused   *prometheus.CounterVec
	checks    *prometheus.CounterVec
}

func newBackendMetrics() backendMetrics {
	return backendMetrics{
		endpoints: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "nantian_backend_endpoints", Help: "Endpoints of a backend by state: fit, unhealthy (by health checks), ejected (by their answers), draining (terminating)."}, []string{"backend", "state"}),
		ejections: counters("nantian_backend_ejections_total", "Endpoints taken out for a time by cause: 5xx or gateway errors in a row.", "backend", "cause"),
		refused:   counters("nantian_backend_refused_total", "Calls that were not made by limit: requests (in flight) or retries (the budget of retries).", "backend", "limit"),
		checks:    counters("nantian_backend_health_checks_total", "Health checks of endpoints by result: ok or failed.", "backend", "result"),
	}
}

func (m *backendMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.endpoints, m.ejections, m.refused, m.checks}
}

// BackendMeter holds the instruments of one backend or provider.
type BackendMeter struct {
	m       *backendMetrics
	backend string
}

// Backend makes the instruments of a backend, "<ns>/<service>:<port>", or of a provider.
func (m *Metrics) Backend(name string) *BackendMeter {
	return &BackendMeter{m: &m.backend, backend: name}
}

// Endpoints moves the number of endpoints in a state.
func (b *BackendMeter) Endpoints(state string, delta int) {
	b.m.endpoints.WithLabelValues(b.backend, state).Add(float64(delta))
}

// Ejected counts an endpoint that was taken out.
func (b *BackendMeter) Ejected(cause string) { b.m.ejections.WithLabelValues(b.backend, cause).Inc() }

// Refused counts a call that was not made.
func (b *BackendMeter) Refused(limit string) { b.m.refused.WithLabelValues(b.backend, limit).Inc() }

// Checked counts a health check.
func (b *BackendMeter) Checked(ok bool) {
	result := "failed"
	if ok {
		result = "ok"
	}
	b.m.checks.WithLabelValues(b.backend, result).Inc()
}
