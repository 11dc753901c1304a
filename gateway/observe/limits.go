package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// limitMetrics are the instruments of TokenPolicies.
type limitMetrics struct {
	reserved, settled, overshot, refused, cut *prometheus.CounterVec
	waiting                                   *prometheus.GaugeVec
	waited                                    *prometheus.HistogramVec
	up                                        prometheus.Gauge
}

func newLimitMetrics() limitMetrics {
	labels := []string{"policy", "limit", "unit"}
	return limitMetrics{
		reserved: counters("nantian_limit_reserved_total", "What was reserved before calls, as estimated, in the unit of the limit; of COST in US dollars.", labels...),
		settled:  counters("nantian_limit_settled_total", "What calls then used, in the unit of the limit; of COST in US dollars.", labels...),
		overshot: counters("nantian_limit_overshoot_total", "By how much limits were exceeded, by calls that used more than was estimated, in the unit of the limit; of COST in US dollars.", labels...),
		refused:  counters("nantian_limit_refused_total", "Requests that a limit turned away by outcome: limited, full (the queue), timeout and left (in the queue), unidentified, unavailable (the store); warned ones went on.", "policy", "limit", "unit", "outcome"),
		cut:      counters("nantian_limit_cut_streams_total", "Streams that were ended at a limit.", labels...),
		waiting:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "nantian_limit_queue_length", Help: "Requests that wait for room."}, labels),
		waited:   histograms("nantian_limit_queue_wait_seconds", "How long requests waited that then had room.", durationBuckets, labels...),
		up:       prometheus.NewGauge(prometheus.GaugeOpts{Name: "nantian_limit_store_up", Help: "1 while the store of limits answers; in memory it always does."}),
	}
}

func (m *limitMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.reserved, m.settled, m.overshot, m.refused, m.cut, m.waiting, m.waited, m.up}
}

// LimitMeter holds the instruments of one limit, found once.
type LimitMeter struct {
	m                                *limitMetrics
	policy, limit, unit              string
	share                            float64 // of one in what is shown
	reserved, settled, overshot, cut prometheus.Counter
	waiting                          prometheus.Gauge
	waited                           prometheus.Observer
}

// Limit makes the instruments of a limit; policy is "<ns>/<name>".
func (m *Metrics) Limit(policy, limit, unit string) *LimitMeter {
	l := &LimitMeter{
		m: &m.limit, policy: policy, limit: limit, unit: unit, share: 1,
		reserved: m.limit.reserved.WithLabelValues(policy, limit, unit), settled: m.limit.settled.WithLabelValues(policy, limit, unit),
		overshot: m.limit.overshot.WithLabelValues(policy, limit, unit), cut: m.limit.cut.WithLabelValues(policy, limit, unit),
		waiting: m.limit.waiting.WithLabelValues(policy, limit, unit), waited: m.limit.waited.WithLabelValues(policy, limit, unit),
	}
	if unit == "COST" {
		l.share = 1e-9
	}
	return l
}

// Reserved counts an estimate.
func (l *LimitMeter) Reserved(amount int64) { l.reserved.Add(float64(amount) * l.share) }

// Settled counts what was used.
func (l *LimitMeter) Settled(amount int64) { l.settled.Add(float64(amount) * l.share) }

// Overshot counts by how much the limit was exceeded.
func (l *LimitMeter) Overshot(amount int64) { l.overshot.Add(float64(amount) * l.share) }

// Refused counts a request that was turned away.
func (l *LimitMeter) Refused(outcome string) {
	l.m.refused.WithLabelValues(l.policy, l.limit, l.unit, outcome).Inc()
}

// Waiting moves the number of requests that wait.
func (l *LimitMeter) Waiting(delta int) { l.waiting.Add(float64(delta)) }

// Waited records how long a request waited.
func (l *LimitMeter) Waited(d time.Duration) { l.waited.Observe(d.Seconds()) }

// Cut counts a stream that was ended.
func (l *LimitMeter) Cut() { l.cut.Inc() }

// StoreChanged says whether the store of limits answers.
func (m *Metrics) StoreChanged(up bool) {
	v := 0.0
	if up {
		v = 1
	}
	m.limit.up.Set(v)
}

// LimitStats is what is read when metrics are.
type LimitStats struct {
	Running, Buckets, Learned   int
	RoundTrips, Failed          uint64
	Expired, Evicted            uint64
	WithoutAsking, WithoutStore uint64
}

// WatchLimits shows what read gives.
func (m *Metrics) WatchLimits(read func() LimitStats) {
	gauge := func(name, help string, of func(LimitStats) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return of(read()) })
	}
	counter := func(name, help string, of func(LimitStats) uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(of(read())) })
	}
	m.registry.MustRegister(
		gauge("nantian_limit_running", "Calls that hold a reservation.", func(s LimitStats) float64 { return float64(s.Running) }),
		gauge("nantian_limit_buckets", "Buckets that this replica has to do with; 131072 at most.", func(s LimitStats) float64 { return float64(s.Buckets) }),
		gauge("nantian_limit_learned", "Pairs of bucket and model whose use was learned; 16384 at most.", func(s LimitStats) float64 { return float64(s.Learned) }),
		counter("nantian_limit_store_round_trips_total", "Exchanges with the store of limits.", func(s LimitStats) uint64 { return s.RoundTrips }),
		counter("nantian_limit_store_failures_total", "Exchanges with the store of limits that failed.", func(s LimitStats) uint64 { return s.Failed }),
		counter("nantian_limit_leased_total", "Reservations that needed no exchange with the store.", func(s LimitStats) uint64 { return s.WithoutAsking }),
		counter("nantian_limit_local_total", "Reservations that were granted while the store was away, by this replica's share.", func(s LimitStats) uint64 { return s.WithoutStore }),
		counter("nantian_limit_expired_total", "Reservations that nobody settled in time.", func(s LimitStats) uint64 { return s.Expired }),
		counter("nantian_limit_evicted_total", "Buckets in memory that were forgotten for want of space.", func(s LimitStats) uint64 { return s.Evicted }),
	)
}
