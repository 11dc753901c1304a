package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nantian-gw/nantian/gateway/guard"
)

// guardMetrics are the instruments of prompt guards.
type guardMetrics struct {
	findings *prometheus.CounterVec
	refused  *prometheus.CounterVec
	asked    *prometheus.CounterVec
	took     *prometheus.HistogramVec
	waiting  *prometheus.GaugeVec
}

func newGuardMetrics() guardMetrics {
	return guardMetrics{
		findings: counters("nantian_guard_findings_total", "What the rules of prompt guards found, by what the rule does about it; mode is enforce or monitor, side request or response.", "policy", "rule", "action", "mode", "side"),
		refused:  counters("nantian_guard_refused_total", "Requests and answers that prompt guards refused: blocked by a rule, unscannable, or unavailable, where a webhook gave no answer.", "reason", "side"),
		asked:    counters("nantian_guard_webhook_questions_total", "Questions to webhooks by outcome: ok, failed, timeout.", "policy", "rule", "outcome"),
		took:     histograms("nantian_guard_webhook_duration_seconds", "Time of a question to a webhook with the wait for its turn.", durationBuckets, "policy", "rule"),
		waiting:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "nantian_guard_webhook_waiting", Help: "Questions to webhooks that are under way or wait for their turn."}, []string{"policy", "rule"}),
	}
}

func (m *guardMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.findings, m.refused, m.asked, m.took, m.waiting}
}

// Guards are the instruments of prompt guards.
func (m *Metrics) Guards() guard.Observer { return &m.guards }

var _ guard.Observer = (*guardMetrics)(nil)

// Rule implements guard.Observer.
func (m *guardMetrics) Rule(policy, rule, action string, monitor bool) guard.Meter {
	mode := "enforce"
	if monitor {
		mode = "monitor"
	}
	return ruleMeter{
		guard.Request:  m.findings.WithLabelValues(policy, rule, action, mode, guard.Request.String()),
		guard.Response: m.findings.WithLabelValues(policy, rule, action, mode, guard.Response.String()),
	}
}

// ruleMeter has a counter for each side.
type ruleMeter [2]prometheus.Counter

// Found implements guard.Meter.
func (m ruleMeter) Found(s guard.Side, n int) { m[s].Add(float64(n)) }

// Refused implements guard.Observer.
func (m *guardMetrics) Refused(reason string, s guard.Side) {
	m.refused.WithLabelValues(reason, s.String()).Inc()
}

// Webhook implements guard.Observer.
func (m *guardMetrics) Webhook(policy, rule string) guard.WebhookMeter {
	w := webhookMeter{took: m.took.WithLabelValues(policy, rule), waiting: m.waiting.WithLabelValues(policy, rule), asked: map[string]prometheus.Counter{}}
	for _, outcome := range [...]string{"ok", "failed", "timeout"} {
		w.asked[outcome] = m.asked.WithLabelValues(policy, rule, outcome)
	}
	return w
}

type webhookMeter struct {
	asked   map[string]prometheus.Counter
	took    prometheus.Observer
	waiting prometheus.Gauge
}

// Asked implements guard.WebhookMeter.
func (m webhookMeter) Asked(outcome string, took time.Duration) {
	m.asked[outcome].Inc()
	m.took.Observe(took.Seconds())
}

// Waiting implements guard.WebhookMeter.
func (m webhookMeter) Waiting(delta int) { m.waiting.Add(float64(delta)) }
