// Package load asks a server for the same thing over and over, on a fixed number of connections, and measures how long
// answers take. Its client is as small as it can be, so that it takes little of the machine from what is measured.
package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Job is what to ask, and how often.
type Job struct {
	// Addr is host:port; Request is a whole request of HTTP/1.1 as it is written.
	Addr    string
	Request []byte
	// H2, if set, is asked in place of Request, by HTTP/2.
	H2 *H2Request
	// Conns is the number of requests under way at a time: over HTTP/1.1 each has a connection of its own, over HTTP/2 up to a hundred
	// share one, and at least four connections are used.
	Conns int
	// Events is the number of stamped events (see package upstream) that each answer must hold; 0: it is not a stream.
	Events int
	// Warm is how long to ask before anything is measured. Duration is how long new requests begin; those under way are
	// waited for, so that all that was begun is counted.
	Warm, Duration time.Duration
	// Stagger spreads the beginnings of the connections over a time, and keeps each to its place in it with every request:
	// paced streams would else begin to beat as one, some proxies' sooner than others', and a beat costs less than its parts.
	Stagger time.Duration
}

// Result is what was measured. Times are in nanoseconds and sorted.
type Result struct {
	Elapsed time.Duration
	// Latencies are from the first byte of a request to the last of its answer; First to the first event.
	Latencies, First []int64
	// Delays are from the sending of each event to its arrival.
	Delays []int64
	// Errors is the number of requests that failed, and LastError one of them.
	Errors    int
	LastError error
}

// Requests is the number of requests that were answered.
func (r *Result) Requests() int { return len(r.Latencies) }

// NewRequest is a POST of body with the fields that clients of model providers send, and more of them ("Name: value").
func NewRequest(host, path, contentType string, body []byte, more ...string) []byte {
	head := "POST " + path + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: nantian-benchmarks\r\nAccept: */*\r\n" +
		"Authorization: Bearer benchmark\r\nContent-Type: " + contentType + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n"
	for _, field := range more {
		head += field + "\r\n"
	}
	head += "\r\n"
	return append([]byte(head), body...)
}

// Run warms the server up, calls begin, measures, calls end, and returns when all connections are closed. Errors of
// single requests are in the result; an error of Run means that nothing could be measured.
func Run(ctx context.Context, j Job, begin, end func()) (*Result, error) {
	workers := make([]*worker, j.Conns)
	shared := j.h2Clients()
	for i := range workers {
		w := &worker{job: &j, client: client{addr: j.Addr}, delay: j.Stagger * time.Duration(i) / time.Duration(j.Conns)}
		if len(shared) > 0 {
			w.h2 = shared[i%len(shared)]
		}
		workers[i] = w
		defer w.close()
	}
	if j.Warm > 0 {
		each(ctx, workers, j.Warm)
		if r := collect(workers); r.Requests() == 0 {
			return nil, fmt.Errorf("no request was answered: %w", errors.Join(r.LastError, ctx.Err()))
		}
	}
	for _, w := range workers {
		w.reset()
	}
	begin()
	start := time.Now()
	each(ctx, workers, j.Duration)
	elapsed := time.Since(start)
	end()
	r := collect(workers)
	r.Elapsed = elapsed
	return r, ctx.Err()
}

// minH2 is how many connections of HTTP/2 are used at least, where there are as many workers.
const minH2 = 4

func (j *Job) h2Clients() []*h2Client {
	if j.H2 == nil {
		return nil
	}
	out := make([]*h2Client, min(j.Conns, max(minH2, (j.Conns+h2Streams-1)/h2Streams)))
	for i := range out {
		out[i] = &h2Client{addr: j.Addr, request: j.H2}
	}
	return out
}

// each lets the workers ask for a time.
func each(ctx context.Context, ws []*worker, d time.Duration) {
	until := time.Now().Add(d)
	var wg sync.WaitGroup
	for _, w := range ws {
		wg.Go(func() { w.run(ctx, until) })
	}
	wg.Wait()
}

func collect(ws []*worker) *Result {
	r := &Result{}
	for _, w := range ws {
		r.Latencies = append(r.Latencies, w.latencies...)
		r.First = append(r.First, w.first...)
		r.Delays = append(r.Delays, w.delays...)
		r.Errors += w.errors
		if w.err != nil {
			r.LastError = w.err
		}
	}
	slices.Sort(r.Latencies)
	slices.Sort(r.First)
	slices.Sort(r.Delays)
	return r
}

// worker is one connection with what was measured on it.
type worker struct {
	job    *Job
	client client
	h2     *h2Client // nil: client is used
	delay  time.Duration

	latencies, first, delays []int64
	errors                   int
	err                      error
}

// reset forgets what was measured, but keeps the memory for it.
func (w *worker) reset() {
	w.latencies, w.first, w.delays = w.latencies[:0], w.first[:0], w.delays[:0]
	w.errors, w.err = 0, nil
}

// giveUp ends a worker: a server that fails so often is not measured.
const giveUp = 100

func (w *worker) run(ctx context.Context, until time.Time) {
	time.Sleep(w.delay)
	for first := time.Now(); time.Now().Before(until) && ctx.Err() == nil && w.errors < giveUp; {
		if s := w.job.Stagger; s > 0 {
			time.Sleep((s - time.Since(first)%s) % s)
		}
		if err := w.ask(); err != nil {
			w.client.close() // over HTTP/2 others may go on
			w.errors++
			w.err = err
		}
	}
}

func (w *worker) close() {
	w.client.close()
	if w.h2 != nil {
		w.h2.close()
	}
}

func (w *worker) do(s *scanner) error {
	if w.h2 != nil {
		return w.h2.do(s)
	}
	return w.client.do(w.job.Request, s)
}

// ask sends one request and reads its answer.
func (w *worker) ask() error {
	if w.h2 == nil {
		if err := w.client.open(); err != nil {
			return err
		}
	}
	start := time.Now()
	kept := len(w.delays)
	first := int64(0)
	stamps := scanner{found: func(sent int64) {
		now := time.Now()
		if first == 0 {
			first = now.Sub(start).Nanoseconds()
		}
		w.delays = append(w.delays, now.UnixNano()-sent)
	}}
	if w.job.Events == 0 {
		stamps.found = nil
	}
	err := w.do(&stamps)
	if n := len(w.delays) - kept; err == nil && n != w.job.Events {
		err = fmt.Errorf("%d events in the answer, want %d", n, w.job.Events)
	}
	if err != nil {
		w.delays = w.delays[:kept]
		return err
	}
	w.latencies = append(w.latencies, time.Since(start).Nanoseconds())
	if w.job.Events > 0 {
		w.first = append(w.first, first)
	}
	return nil
}
