package bench

import (
	"errors"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// stats gathers what is measured. Its memory does not grow with the length of a run. It is safe for concurrent use.
type stats struct {
	mu                   sync.Mutex
	began, ended         time.Time
	latency, first, gaps *hdrhistogram.Histogram // microseconds
	requests, failed     int
	input, output        int
	counted              bool
	failures             map[string]*Failure
}

// The histograms hold a microsecond to an hour with three digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, time.Hour.Microseconds(), 3)
}

func newStats() *stats {
	return &stats{latency: newHistogram(), first: newHistogram(), gaps: newHistogram(), failures: map[string]*Failure{}}
}

func (s *stats) start(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = now
}

func (s *stats) end(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = now
}

// add notes a request that began at start.
func (s *stats) add(start time.Time, a *answer, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.fail(err)
		return
	}
	s.requests++
	s.input, s.output = s.input+a.input, s.output+a.output
	s.counted = s.counted || a.counted
	record(s.latency, a.last.Sub(start))
	record(s.first, a.first.Sub(start))
	for _, gap := range a.gaps {
		record(s.gaps, gap)
	}
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(d.Microseconds(), 1), time.Hour.Microseconds())) // within its bounds it does not fail
}

// maxClasses bounds the kinds of failures that are told apart; further ones are "other".
const maxClasses = 16

func (s *stats) fail(err error) {
	s.failed++
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{"other", err.Error()}
	}
	known := s.failures[f.class]
	if known == nil && len(s.failures) >= maxClasses {
		f = &failure{"other", f.message}
		known = s.failures["other"]
	}
	if known == nil {
		known = &Failure{Kind: f.class, Example: f.message}
		s.failures[f.class] = known
	}
	known.Count++
}

// Progress is a glance at a run.
type Progress struct {
	Elapsed          time.Duration
	Requests, Failed int
	OutputTokens     int
	// First is the median time to the first token.
	First time.Duration
}

func (s *stats) progress(now time.Time) Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := Progress{Requests: s.requests, Failed: s.failed, OutputTokens: s.output, First: at(s.first, 50)}
	if !s.began.IsZero() {
		p.Elapsed = now.Sub(s.began)
	}
	return p
}

func at(h *hdrhistogram.Histogram, percentile float64) time.Duration {
	return time.Duration(h.ValueAtPercentile(percentile)) * time.Microsecond
}
