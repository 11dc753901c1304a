package observe

import "github.com/prometheus/client_golang/prometheus"

// authMetrics are the instruments of AuthPolicies. Who called is in the access log alone: callers are too many for labels.
type authMetrics struct {
	requests   *prometheus.CounterVec
	signatures *prometheus.CounterVec
	fetches    *prometheus.CounterVec
	callers    prometheus.Gauge
	tokens     prometheus.Gauge
}

func newAuthMetrics() authMetrics {
	return authMetrics{
		requests:   counters("nantian_auth_requests_total", "Requests by AuthPolicy and result: passed, missing (no credential), invalid, expired, forbidden, unavailable (the keys of the issuer cannot be had, or the policy cannot be run).", "policy", "result"),
		signatures: counters("nantian_auth_signatures_verified_total", "Tokens whose signature had to be verified, because they were not remembered.", "policy"),
		fetches:    counters("nantian_jwks_fetches_total", "Attempts to fetch the keys of an issuer by result: ok or failed.", "policy", "result"),
		callers:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "nantian_auth_api_keys", Help: "API keys that are known."}),
		tokens:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "nantian_auth_cached_tokens", Help: "Verified tokens that are remembered; 10000 at most."}),
	}
}

func (m *authMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.requests, m.signatures, m.fetches, m.callers, m.tokens}
}

// AuthMeter holds the instruments of one AuthPolicy.
type AuthMeter struct {
	requests   map[string]prometheus.Counter
	signatures prometheus.Counter
	fetches    *prometheus.CounterVec
	policy     string
}

// AuthPolicy makes the instruments of an AuthPolicy, "<ns>/<name>".
func (m *Metrics) AuthPolicy(policy string) *AuthMeter {
	a := &AuthMeter{requests: map[string]prometheus.Counter{}, signatures: m.auth.signatures.WithLabelValues(policy), fetches: m.auth.fetches, policy: policy}
	for _, result := range [...]string{"passed", "missing", "invalid", "expired", "forbidden", "unavailable"} {
		a.requests[result] = m.auth.requests.WithLabelValues(policy, result)
	}
	return a
}

// Checked counts a request; verified says that a signature was verified for it.
func (a *AuthMeter) Checked(result string, verified bool) {
	if c := a.requests[result]; c != nil {
		c.Inc()
	}
	if verified {
		a.signatures.Inc()
	}
}

// Fetched counts an attempt to fetch the keys of an issuer.
func (a *AuthMeter) Fetched(ok bool) {
	result := "failed"
	if ok {
		result = "ok"
	}
	a.fetches.WithLabelValues(a.policy, result).Inc()
}

// Callers sets how many API keys are known.
func (m *Metrics) Callers(n int) { m.auth.callers.Set(float64(n)) }

// CachedTokens sets how many verified tokens are remembered.
func (m *Metrics) CachedTokens(n int) { m.auth.tokens.Set(float64(n)) }
