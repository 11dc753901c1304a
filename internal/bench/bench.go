// Package bench puts load on an endpoint that speaks OpenAI's chat completions, as users of models do, and measures what they
// feel: time to the first token, time between tokens, tokens a second. It is behind nantian bench.
//
// It is a client like any other (net/http), so that it also measures endpoints behind TLS, HTTP/2 and real networks; how fast
// the gateway itself is, next to a bare proxy, is measured by the module benchmarks. It must not import gateway or controlplane.
package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Job is what to ask, how often and for how long.
type Job struct {
	// URL is that of chat completions, for example http://127.0.0.1:8080/v1/chat/completions.
	URL string
	// Header is sent with each request.
	Header http.Header
	Model  string
	// Prompts are the texts of users, in turn; at least one.
	Prompts []string
	// MaxTokens bounds an answer; 0: the model does.
	MaxTokens int
	Stream    bool
	// Concurrency is the number of requests under way at once, at most.
	Concurrency int
	// Rate is the number of requests that begin in a second; 0: each as soon as one before it has ended.
	Rate float64
	// Requests and Duration end the run, whichever comes first; 0: it does not. Requests under way are waited for.
	Requests int
	Duration time.Duration
	// Warm is how many requests come first and are not measured.
	Warm int
	// Timeout bounds one request.
	Timeout time.Duration
	// Client makes the calls; nil: one with a connection for each request under way.
	Client *http.Client
	// Count counts the tokens of an answer whose usage the endpoint does not tell.
	Count func(text []byte) int
}

// Runner runs a Job once.
type Runner struct {
	job   Job
	stats *stats
	began atomic.Int64
}

// New checks a job. Its error names the field.
func New(j Job) (*Runner, error) {
	switch {
	case len(j.Prompts) == 0:
		return nil, errors.New("prompts: there is none")
	case j.Concurrency < 1:
		return nil, fmt.Errorf("concurrency: %d is less than 1", j.Concurrency)
	case j.Rate < 0:
		return nil, fmt.Errorf("rate: %g is less than 0", j.Rate)
	case j.Requests <= 0 && j.Duration <= 0:
		return nil, errors.New("requests, duration: expected at least one of them")
	}
	if _, err := http.NewRequest(http.MethodPost, j.URL, nil); err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	if j.Client == nil {
		j.Client = newClient(j.Concurrency)
	}
	return &Runner{job: j, stats: newStats()}, nil
}

// newClient keeps a connection for each request under way. Bodies are wanted as they are: no compression is asked for.
func newClient(conns int) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost, t.DisableCompression = conns, conns, true
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Run asks until the job or ctx ends. What was measured until then is in the report.
func (r *Runner) Run(ctx context.Context) *Report {
	r.warm(ctx)
	r.stats.start(time.Now())
	begin, stop := context.WithCancel(ctx)
	if r.job.Duration > 0 {
		begin, stop = context.WithTimeout(ctx, r.job.Duration)
	}
	defer stop()
	tickets := r.tickets(begin)
	var wg sync.WaitGroup
	for range r.job.Concurrency {
		wg.Go(func() {
			for due := range tickets {
				r.ask(ctx, due)
			}
		})
	}
	wg.Wait()
	r.stats.end(time.Now())
	r.job.Client.CloseIdleConnections()
	return r.stats.report(r.job.Stream)
}

// Progress is what has been measured so far. It may be called while Run runs.
func (r *Runner) Progress() Progress { return r.stats.progress(time.Now()) }

func (r *Runner) warm(ctx context.Context) {
	for i := range r.job.Warm {
		if ctx.Err() != nil {
			return
		}
		r.call(ctx, r.job.Prompts[i%len(r.job.Prompts)])
	}
}

// tickets hands out a moment for each request, until begin ends. With a rate that is when it was due: a request that had to
// wait for a free place has waited as its user would have.
func (r *Runner) tickets(begin context.Context) <-chan time.Time {
	out := make(chan time.Time)
	go func() {
		defer close(out)
		due := time.Now()
		for n := 0; r.job.Requests == 0 || n < r.job.Requests; n++ {
			if r.job.Rate > 0 {
				due = due.Add(time.Duration(float64(time.Second) / r.job.Rate))
				if !sleep(begin, time.Until(due)) {
					return
				}
			}
			select {
			case out <- due:
			case <-begin.Done():
				return
			}
		}
	}()
	return out
}

// sleep waits, and says whether ctx lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// ask makes one measured request.
func (r *Runner) ask(ctx context.Context, due time.Time) {
	prompt := r.job.Prompts[int(r.began.Add(1)-1)%len(r.job.Prompts)]
	start := time.Now()
	if r.job.Rate > 0 {
		start = due
	}
	a, err := r.call(ctx, prompt)
	if err != nil && ctx.Err() != nil {
		return // cut off by the user, not failed
	}
	r.stats.add(start, a, err)
}
