package controller

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/nantian-gw/nantian/controlplane"
	"github.com/nantian-gw/nantian/controlplane/acks"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/xds"
)

// metrics are the instruments of a replica.
type metrics struct {
	registry *prometheus.Registry

	translations *prometheus.HistogramVec
	objects      *prometheus.GaugeVec
	groups       prometheus.Gauge
	statuses     *prometheus.CounterVec
	failures     *prometheus.CounterVec
	applied      *prometheus.CounterVec
	leader       prometheus.Gauge
}

func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.translations = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "nantian_controller_translation_seconds", Help: "Time to translate a change and publish it, by result: published, or failed for some data planes.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	}, []string{"result"})
	m.objects = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "nantian_controller_objects", Help: "Objects that are watched, EndpointSlices apart, by kind."}, []string{"kind"})
	m.groups = prometheus.NewGauge(prometheus.GaugeOpts{Name: "nantian_controller_groups", Help: "Groups of data planes that have a configuration."})
	m.statuses = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nantian_controller_status_writes_total", Help: "Statuses by outcome: written, conflict (tried again) or error.",
	}, []string{"outcome"})
	m.failures = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nantian_controller_failures_total", Help: "Tasks that failed and are tried again, by task."}, []string{"task"})
	m.applied = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nantian_controller_provision_writes_total", Help: "Objects of data planes by outcome: applied, deleted or error.",
	}, []string{"outcome"})
	m.leader = prometheus.NewGauge(prometheus.GaugeOpts{Name: "nantian_controller_leader", Help: "1 on the replica that writes."})
	m.registry.MustRegister(m.translations, m.objects, m.groups, m.statuses, m.failures, m.applied, m.leader,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// follow adds the metrics of data planes, which are counted when they are asked for.
func (m *metrics) follow(r *acks.Recorder) { m.registry.MustRegister(&dataPlanes{r}) }

// dataPlanes counts the data planes that are connected.
type dataPlanes struct{ r *acks.Recorder }

var (
	connectedDesc = prometheus.NewDesc("nantian_controller_data_planes", "Data planes connected to this replica, by group.", []string{"group"}, nil)
	refusedDesc   = prometheus.NewDesc("nantian_controller_groups_refused", "Groups of which a data plane connected to this replica refuses what it was given.", nil, nil)
)

// Describe implements prometheus.Collector.
func (d *dataPlanes) Describe(ch chan<- *prometheus.Desc) {
	ch <- connectedDesc
	ch <- refusedDesc
}

// Collect implements prometheus.Collector.
func (d *dataPlanes) Collect(ch chan<- prometheus.Metric) {
	refused := 0
	for name, g := range d.r.Groups() {
		ch <- prometheus.MustNewConstMetric(connectedDesc, prometheus.GaugeValue, float64(g.Connected), name)
		if g.Refused != nil {
			refused++
		}
	}
	ch <- prometheus.MustNewConstMetric(refusedDesc, prometheus.GaugeValue, float64(refused))
}

func (m *metrics) translated(took time.Duration, err error) {
	result := "published"
	if err != nil {
		result = "failed"
	}
	m.translations.WithLabelValues(result).Observe(took.Seconds())
}

func (m *metrics) view(v controlplane.View) {
	for _, k := range resources.Kinds() {
		if k.Kind != "EndpointSlice" {
			m.objects.WithLabelValues(k.Kind).Set(float64(len(v.Set.Values(k))))
		}
	}
	m.groups.Set(float64(len(v.Snapshots)))
}

func (m *metrics) statusWritten(outcome string) { m.statuses.WithLabelValues(outcome).Inc() }

func (m *metrics) provisioned(outcome string) { m.applied.WithLabelValues(outcome).Inc() }

func (m *metrics) failed(task string) { m.failures.WithLabelValues(task).Inc() }

func (m *metrics) lead(leading bool) {
	m.leader.Set(0)
	if leading {
		m.leader.Set(1)
	}
}

// Instruments is a registry with all instruments of a Controller, each with a value: their documentation is made from it.
func Instruments() *prometheus.Registry {
	m, r := newMetrics(), acks.NewRecorder()
	r.Changed(xds.DataPlane{Stream: 1, Group: "ns/gateway"})
	m.follow(r)
	m.translated(time.Second, nil)
	m.objects.WithLabelValues("Gateway").Set(1)
	m.statusWritten("written")
	m.provisioned("applied")
	m.failed("statuses")
	m.lead(true)
	return m.registry
}
