// Package observe records what the data plane does: metrics, and one line of access log a request. It is told once per
// exchange, when the last byte is written.
//
// Labels are bounded by the configuration: gateways, routes, backends, providers, models by their configured names. No
// label, line or error here ever holds a credential, a prompt or a query string.
package observe

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// Metrics are the instruments of one data plane. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	requests    *prometheus.CounterVec
	durations   *prometheus.HistogramVec
	sent        *prometheus.CounterVec
	connections prometheus.Gauge
	acceptWaits prometheus.Counter
	panics      prometheus.Counter
	mirrors     *prometheus.CounterVec
	configs     *prometheus.CounterVec
	logDropped  prometheus.Counter

	model   modelMetrics
	session sessionMetrics
	auth    authMetrics
	authz   authzMetrics
	guards  guardMetrics
	limit   limitMetrics
	backend backendMetrics
}

// Buckets in seconds: proxying takes less than a millisecond, a model may think for minutes.
var durationBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300}

// NewMetrics makes the instruments and registers them.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(), model: newModelMetrics(), session: newSessionMetrics(), auth: newAuthMetrics(), authz: newAuthzMetrics(), guards: newGuardMetrics(),
		limit: newLimitMetrics(), backend: newBackendMetrics(),
	}
	m.requests = counters("nantian_requests_total", "Requests by route, backend and status; 499 is a client that left.", "gateway", "route", "backend", "code")
	m.durations = histograms("nantian_request_duration_seconds", "Time from the request's head to the last byte of the response.", durationBuckets, "gateway", "route")
	m.sent = counters("nantian_response_bytes_total", "Bytes of responses written to clients, heads included for HTTP/1.1.", "gateway", "route")
	m.connections = prometheus.NewGauge(prometheus.GaugeOpts{Name: "nantian_connections", Help: "Open connections of clients."})
	m.acceptWaits = prometheus.NewCounter(prometheus.CounterOpts{Name: "nantian_accept_waits_total", Help: "Times a new connection had to wait because descriptors were used up."})
	m.panics = prometheus.NewCounter(prometheus.CounterOpts{Name: "nantian_panics_total", Help: "Bugs that cost a request."})
	m.mirrors = counters("nantian_mirrored_total", "Mirrored requests by outcome.", "outcome")
	m.configs = counters("nantian_config_updates_total", "Configuration updates by result: applied or refused.", "result")
	m.logDropped = prometheus.NewCounter(prometheus.CounterOpts{Name: "nantian_access_log_dropped_total", Help: "Lines of the access log that could not be written."})
	m.registry.MustRegister(m.requests, m.durations, m.sent, m.connections, m.acceptWaits, m.panics, m.mirrors, m.configs, m.logDropped,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(m.model.all()...)
	m.registry.MustRegister(m.guards.all()...)
	m.registry.MustRegister(m.limit.all()...)
	m.StoreChanged(true)
	m.registry.MustRegister(m.session.all()...)
	m.registry.MustRegister(m.auth.all()...)
	m.registry.MustRegister(m.authz.all()...)
	m.registry.MustRegister(m.backend.all()...)
	return m
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

// Handler serves the metrics in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Registry is where the instruments are registered.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// noRoute has what no route matched. It keeps nothing, since there may be several observers.
var noRoute = exchange.RouteInfo{}

// record counts one exchange.
func (m *Metrics) record(x *exchange.Exchange, status int, sent int64, took time.Duration) {
	m.of(routeOf(x.Route)).count(x.Backend, status, sent, took)
}

// routeOf is a route, or the one without a name.
func routeOf(r *exchange.RouteInfo) *exchange.RouteInfo {
	if r == nil {
		return &noRoute
	}
	return r
}

// code is a status as a label, without allocating for those that exist.
func code(status int) string {
	if status >= 100 && status < 600 {
		return codes[status-100]
	}
	return "invalid"
}

var codes = func() (t [500]string) {
	for i := range t {
		t[i] = strconv.Itoa(i + 100)
	}
	return t
}()

// Config counts a configuration update.
func (m *Metrics) Config(applied bool) {
	result := "applied"
	if !applied {
		result = "refused"
	}
	m.configs.WithLabelValues(result).Inc()
}

// Mirrored counts a mirrored request: sent, failed or dropped.
func (m *Metrics) Mirrored(outcome string) { m.mirrors.WithLabelValues(outcome).Inc() }

// modelMetrics are the instruments of model calls. The gen_ai names are OpenTelemetry's (semantic conventions for GenAI
// metrics), as Prometheus spells them.
type modelMetrics struct {
	tokens     *prometheus.CounterVec
	firstToken *prometheus.HistogramVec
	between    *prometheus.HistogramVec
	attempts   *prometheus.CounterVec
	durations  *prometheus.HistogramVec
	fallbacks  *prometheus.CounterVec
	streams    *prometheus.GaugeVec
	usage      *prometheus.HistogramVec
	estimated  *prometheus.CounterVec
	cost       *prometheus.CounterVec
	unpriced   *prometheus.CounterVec
	off        *prometheus.HistogramVec
	calibrated prometheus.Gauge
}

func newModelMetrics() modelMetrics {
	tokenBuckets := []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576}
	return modelMetrics{
		tokens:     counters("nantian_ai_tokens_total", "Tokens by type: input, cached_input, cache_write, output, reasoning. input holds the cached ones, output the reasoning.", "provider", "model", "type"),
		firstToken: histograms("gen_ai_server_time_to_first_token_seconds", "Time from the request to the first event with content of a stream.", durationBuckets, "provider", "model"),
		between:    histograms("gen_ai_server_time_per_output_token_seconds", "Time from one batch of events with content to the next.", []float64{.0005, .001, .0025, .005, .01, .025, .05, .075, .1, .15, .2, .3, .5, 1, 2.5, 10}, "provider", "model"),
		attempts:   counters("nantian_ai_attempts_total", "Calls of providers by outcome.", "provider", "model", "outcome"),
		durations:  histograms("gen_ai_server_request_duration_seconds", "Time of a call of a provider until its answer was whole.", durationBuckets, "provider", "model"),
		fallbacks:  counters("nantian_ai_fallbacks_total", "Calls made because the one before had failed, by who took over.", "provider", "model"),
		streams:    prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "nantian_ai_open_streams", Help: "Streams under way."}, []string{"provider", "model"}),
		usage:      histograms("gen_ai_client_token_usage", "Tokens of a call by type: input, output.", tokenBuckets, "provider", "model", "gen_ai_token_type"),
		cost:       counters("nantian_ai_cost_dollars_total", "US dollars that calls cost by the prices of the AIProvider or the catalogue; models without a price count 0.", "provider", "model"),
		unpriced:   counters("nantian_ai_unpriced_calls_total", "Calls of models that have no price, neither of the AIProvider nor of the catalogue: limits of Cost count 0 for them.", "provider", "model"),
		off:        histograms("nantian_ai_estimate_error_ratio", "By what share the calibrated estimate of a call's tokens was off from what the provider reported, for models without a public vocabulary.", []float64{.01, .02, .05, .1, .15, .2, .3, .5, 1}, "provider", "model"),
		calibrated: prometheus.NewGauge(prometheus.GaugeOpts{Name: "nantian_ai_calibrated_models", Help: "Models whose estimates were calibrated by what providers reported; 1000 at most."}),
		estimated:  counters("nantian_ai_usage_estimated_total", "Calls whose tokens were counted here because the provider reported none.", "provider", "model"),
	}
}

func (m *modelMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.tokens, m.firstToken, m.between, m.attempts, m.durations, m.fallbacks, m.streams, m.usage, m.estimated, m.cost, m.unpriced, m.off, m.calibrated}
}

// Meter holds the instruments of one target, found once.
type Meter struct {
	m               *modelMetrics
	provider, model string

	ok                                                    prometheus.Counter // attempts that succeeded: most
	firstToken, between, duration, usageIn, usageOut, off prometheus.Observer
	fallbacks, estimated, cost, unpriced                  prometheus.Counter
	streams                                               prometheus.Gauge
	tokens                                                [5]prometheus.Counter
}

var tokenTypes = [5]string{"input", "cached_input", "cache_write", "output", "reasoning"}

// Target makes the instruments of a target; model is its name or pattern in the configuration.
func (m *Metrics) Target(provider, model string) *Meter {
	mm := &m.model
	t := &Meter{m: mm, provider: provider, model: model,
		ok:         mm.attempts.WithLabelValues(provider, model, attemptOK),
		firstToken: mm.firstToken.WithLabelValues(provider, model),
		between:    mm.between.WithLabelValues(provider, model),
		duration:   mm.durations.WithLabelValues(provider, model),
		usageIn:    mm.usage.WithLabelValues(provider, model, "input"),
		usageOut:   mm.usage.WithLabelValues(provider, model, "output"),
		off:        mm.off.WithLabelValues(provider, model),
		fallbacks:  mm.fallbacks.WithLabelValues(provider, model),
		estimated:  mm.estimated.WithLabelValues(provider, model),
		cost:       mm.cost.WithLabelValues(provider, model),
		unpriced:   mm.unpriced.WithLabelValues(provider, model),
		streams:    mm.streams.WithLabelValues(provider, model),
	}
	for i, name := range tokenTypes {
		t.tokens[i] = mm.tokens.WithLabelValues(provider, model, name)
	}
	return t
}

// attemptOK is the outcome of most attempts.
const attemptOK = "ok"

// Attempt counts a call.
func (t *Meter) Attempt(outcome string, took time.Duration) {
	if outcome == attemptOK {
		t.ok.Inc()
	} else {
		t.m.attempts.WithLabelValues(t.provider, t.model, outcome).Inc()
	}
	t.duration.Observe(took.Seconds())
}

// Fallback counts a call made because another failed.
func (t *Meter) Fallback() { t.fallbacks.Inc() }

// FirstToken records the time to the first token.
func (t *Meter) FirstToken(d time.Duration) { t.firstToken.Observe(d.Seconds()) }

// BetweenTokens records the time between two batches of events.
func (t *Meter) BetweenTokens(d time.Duration) { t.between.Observe(d.Seconds()) }

// OpenStreams moves the number of open streams.
func (t *Meter) OpenStreams(delta int) { t.streams.Add(float64(delta)) }

// Learned records by what share an estimate was off, and of how many models something is known.
func (t *Meter) Learned(off float64, models int) {
	t.off.Observe(off)
	t.m.calibrated.Set(float64(models))
}

// Unpriced counts a call of a model without a price.
func (t *Meter) Unpriced() { t.unpriced.Inc() }

// Tokens records what a call used, and its cost in billionths of a US dollar.
func (t *Meter) Tokens(u *ai.Usage, cost int64) {
	t.cost.Add(float64(cost) / 1e9)
	for i, n := range [5]int{u.Input, u.CachedInput, u.CacheWrite, u.Output, u.Reasoning} {
		t.tokens[i].Add(float64(n))
	}
	t.usageIn.Observe(float64(u.Input))
	t.usageOut.Observe(float64(u.Output))
	if u.Estimated {
		t.estimated.Inc()
	}
}
