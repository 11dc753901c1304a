package bench

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is what a run measured.
type Report struct {
	// Seconds is the length of the run, from its first measured request to the end of its last.
	Seconds  float64 `json:"seconds"`
	Requests int     `json:"requests"`
	Failed   int     `json:"failed"`
	// Of the requests that were answered.
	RequestsPerSecond     float64 `json:"requestsPerSecond"`
	InputTokens           int     `json:"inputTokens"`
	OutputTokens          int     `json:"outputTokens"`
	OutputTokensPerSecond float64 `json:"outputTokensPerSecond"`
	// OutputCounted says that the endpoint did not tell of all tokens, and that the rest was counted here.
	OutputCounted bool `json:"outputCounted,omitempty"`
	// Latency is to the end of an answer; FirstToken to its first content; BetweenTokens between two pieces of content.
	Latency       Spread    `json:"latency"`
	FirstToken    *Spread   `json:"firstToken,omitempty"`
	BetweenTokens *Spread   `json:"betweenTokens,omitempty"`
	Failures      []Failure `json:"failures,omitempty"`
}

// Spread is how a time is distributed, in milliseconds.
type Spread struct {
	Mean float64 `json:"meanMs"`
	P50  float64 `json:"p50Ms"`
	P90  float64 `json:"p90Ms"`
	P95  float64 `json:"p95Ms"`
	P99  float64 `json:"p99Ms"`
	Max  float64 `json:"maxMs"`
}

// Failure is one kind of failed requests.
type Failure struct {
	Kind  string `json:"kind"`
	Count int    `json:"count"`
	// Example is what one of them said.
	Example string `json:"example"`
}

func (s *stats) report(stream bool) *Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	seconds := s.ended.Sub(s.began).Seconds()
	r := &Report{
		Seconds: seconds, Requests: s.requests, Failed: s.failed, InputTokens: s.input, OutputTokens: s.output, OutputCounted: s.counted,
		Latency: spread(s.latency),
	}
	if seconds > 0 {
		r.RequestsPerSecond, r.OutputTokensPerSecond = float64(s.requests)/seconds, float64(s.output)/seconds
	}
	if stream {
		first, gaps := spread(s.first), spread(s.gaps)
		r.FirstToken, r.BetweenTokens = &first, &gaps
	}
	for _, f := range slices.SortedFunc(maps.Values(s.failures), func(a, b *Failure) int { return cmp.Or(b.Count-a.Count, cmp.Compare(a.Kind, b.Kind)) }) {
		r.Failures = append(r.Failures, *f)
	}
	return r
}

func spread(h *hdrhistogram.Histogram) Spread {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return Spread{
		Mean: h.Mean() / 1000, P50: ms(at(h, 50)), P90: ms(at(h, 90)), P95: ms(at(h, 95)), P99: ms(at(h, 99)),
		Max: float64(h.Max()) / 1000,
	}
}

// WriteText writes the report as a table for people.
func (r *Report) WriteText(w io.Writer) error {
	counted := ""
	if r.OutputCounted {
		counted = " (counted here: the endpoint does not tell)"
	}
	fmt.Fprintf(w, "requests       %d answered, %d failed, in %.1f s: %.1f a second\n", r.Requests, r.Failed, r.Seconds, r.RequestsPerSecond)
	fmt.Fprintf(w, "tokens         %d in, %d out%s: %.1f out a second\n", r.InputTokens, r.OutputTokens, counted, r.OutputTokensPerSecond)
	if r.Requests > 0 {
		if err := r.writeTimes(w); err != nil {
			return err
		}
	}
	for _, f := range r.Failures {
		fmt.Fprintf(w, "\n%d times %s: %.200s\n", f.Count, f.Kind, f.Example)
	}
	return nil
}

func (r *Report) writeTimes(w io.Writer) error {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w)
	fmt.Fprintln(tab, "milliseconds\tmean\tp50\tp90\tp95\tp99\tmax\t")
	for _, row := range []struct {
		name string
		*Spread
	}{{"first token", r.FirstToken}, {"between tokens", r.BetweenTokens}, {"whole answer", &r.Latency}} {
		if s := row.Spread; s != nil {
			fmt.Fprintf(tab, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\n", row.name, s.Mean, s.P50, s.P90, s.P95, s.P99, s.Max)
		}
	}
	return tab.Flush()
}
