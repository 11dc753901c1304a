package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/nantian-gw/nantian/benchmarks/stats"
)

// writeText writes tables for people.
func (r *Report) writeText(w io.Writer) error {
	m := &r.Machine
	fmt.Fprintf(w, "\n%s, %s/%s, %d CPUs, %s, commit %s\n", m.Time.Format("2006-01-02 15:04"), m.OS, m.Arch, m.CPUs, m.Go, m.Commit)
	fmt.Fprintf(w, "Medians of the rounds. A ratio is to the bare proxy in the same round, with the least and the greatest.\n")
	if len(r.Missing) > 0 {
		fmt.Fprintf(w, "Left out, since not installed: %s.\n", strings.Join(r.Missing, ", "))
	}
	for _, why := range r.Failed {
		fmt.Fprintf(w, "Left out from there on: %s.\n", why)
	}
	t := &table{tw: tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)}
	t.requests(r)
	t.streams(r)
	t.memory(r)
	return t.tw.Flush()
}

type table struct{ tw *tabwriter.Writer }

func (t *table) row(cells ...string) {
	// The first column is on the left: the writer aligns all to the right.
	fmt.Fprintf(t.tw, "%-34s\t%s\t\n", cells[0], strings.Join(cells[1:], "\t"))
}

func (t *table) title(text string) {
	t.tw.Flush()
	fmt.Fprintf(t.tw, "\n%s\n", text)
	t.tw.Flush()
}

func (t *table) requests(r *Report) {
	t.title("Requests: rate, CPU time per request, and latency added to that of the direct way (µs)")
	t.row("", "", "req/s", "CPU/req", "ratio", "goal", "p50", "p99", "errors")
	for i := range r.Scenarios {
		m := &r.Scenarios[i]
		if m.GoalMemory > 0 {
			continue
		}
		for _, name := range r.Subjects {
			if len(m.Rounds[name]) == 0 {
				continue
			}
			t.row(m.title(name), name, figure(m.sample(name, rate).Median()), one(name, m.sample(name, cpu).Median()),
				ratio(name, m.ratio(name, cpu)), goal(name, m.Goal),
				m.latency(name, func(f *Figures) float64 { return f.P50 }), m.latency(name, func(f *Figures) float64 { return f.P99 }),
				m.errors(name))
		}
	}
}

func (t *table) streams(r *Report) {
	t.title("Streams: time to the first event, and time under way of each event (µs); for proxies what they add")
	t.row("", "", "first p50", "first p99", "event p50", "event p99")
	for i := range r.Scenarios {
		m := &r.Scenarios[i]
		if m.GoalMemory > 0 || m.sample(direct, func(f *Figures) float64 { return f.FirstP50 }).sum() == 0 {
			continue
		}
		for _, name := range r.Subjects {
			if len(m.Rounds[name]) == 0 {
				continue
			}
			t.row(m.title(name), name,
				m.latency(name, func(f *Figures) float64 { return f.FirstP50 }), m.latency(name, func(f *Figures) float64 { return f.FirstP99 }),
				m.latency(name, func(f *Figures) float64 { return f.DelayP50 }), m.latency(name, func(f *Figures) float64 { return f.DelayP99 }))
		}
	}
}

func (t *table) memory(r *Report) {
	for i := range r.Scenarios {
		m := &r.Scenarios[i]
		if m.GoalMemory == 0 {
			continue
		}
		t.title("Open streams with an event a second: resident memory per stream (KiB)")
		t.row("", "", "KiB/stream", "ratio", "goal", "errors")
		for _, name := range r.Subjects[1:] {
			if len(m.Rounds[name]) == 0 {
				continue
			}
			want := ""
			if name == gateway {
				want = fmt.Sprintf("≤ %.0f KiB", m.GoalMemory/1024)
			}
			t.row(m.title(name), name, fmt.Sprintf("%.1f", m.sample(name, memory).Median()/1024), ratio(name, m.ratio(name, memory)), want, m.errors(name))
		}
	}
}

// title is the scenario's name in the first of its rows.
func (m *Measured) title(subject string) string {
	if subject == direct || m.GoalMemory > 0 && subject == bare {
		return m.Name
	}
	return ""
}

// latency is the figure itself for direct, and what is added for the others.
func (m *Measured) latency(subject string, get func(*Figures) float64) string {
	if subject == direct {
		return figure(m.sample(subject, get).Median())
	}
	return fmt.Sprintf("%+.0f", m.added(subject, get))
}

func (m *Measured) errors(subject string) string {
	return figure(m.sample(subject, func(f *Figures) float64 { return float64(f.Errors) }).sum())
}

func figure(v float64) string { return fmt.Sprintf("%.0f", v) }

func one(subject string, v float64) string {
	if subject == direct {
		return ""
	}
	return fmt.Sprintf("%.1f", v)
}

func ratio(subject string, s stats.Sample) string {
	if subject == direct || subject == bare || len(s) == 0 {
		return ""
	}
	low, high := s.Range()
	return fmt.Sprintf("%.2f (%.2f to %.2f)", s.Median(), low, high)
}

func goal(subject string, v float64) string {
	if subject != gateway || v == 0 {
		return ""
	}
	return fmt.Sprintf("≤ %.2f", v)
}
