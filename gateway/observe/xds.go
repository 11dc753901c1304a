package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ControlPlane are the instruments of the stream to a control plane. It is the Metrics of package gateway/xds.
type ControlPlane struct {
	connected prometheus.Gauge
	failures  prometheus.Counter
	responses *prometheus.CounterVec
	bytes     *prometheus.CounterVec
	apply     *prometheus.HistogramVec
}

// ControlPlane makes the instruments and registers them; it may be called once. A data plane without a control plane has none.
func (m *Metrics) ControlPlane() *ControlPlane {
	c := &ControlPlane{
		connected: prometheus.NewGauge(prometheus.GaugeOpts{Name: "nantian_xds_connected", Help: "1 while there is a stream to the control plane."}),
		failures:  prometheus.NewCounter(prometheus.CounterOpts{Name: "nantian_xds_failures_total", Help: "Streams to the control plane that ended, and attempts at one that failed."}),
		responses: counters("nantian_xds_responses_total", "Responses of the control plane by type (resources, endpoints) and result (applied, refused).", "type", "result"),
		bytes:     counters("nantian_xds_response_bytes_total", "Bytes of those responses.", "type"),
		apply:     histograms("nantian_xds_apply_seconds", "Time to apply a response.", []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}, "type"),
	}
	m.registry.MustRegister(c.connected, c.failures, c.responses, c.bytes, c.apply)
	return c
}

// Connected notes that a stream is open, or no longer.
func (c *ControlPlane) Connected(up bool) {
	c.connected.Set(0)
	if up {
		c.connected.Set(1)
	}
}

// Failed notes that a stream, or an attempt at one, has ended with an error.
func (c *ControlPlane) Failed() { c.failures.Inc() }

// Response notes a response, and how it was taken.
func (c *ControlPlane) Response(kind string, bytes int, refused bool, took time.Duration) {
	result := "applied"
	if refused {
		result = "refused"
	}
	c.responses.WithLabelValues(kind, result).Inc()
	c.bytes.WithLabelValues(kind).Add(float64(bytes))
	c.apply.WithLabelValues(kind).Observe(took.Seconds())
}
