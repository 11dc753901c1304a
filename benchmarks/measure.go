package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/nantian-gw/nantian/benchmarks/load"
	"github.com/nantian-gw/nantian/benchmarks/stats"
)

// Figures are what one measurement gave. What does not apply is 0. Times are in microseconds.
type Figures struct {
	Requests int     `json:"requests"`
	Errors   int     `json:"errors"`
	Rate     float64 `json:"requestsPerSecond,omitempty"`
	CPU      float64 `json:"cpuPerRequest,omitempty"`
	P50      float64 `json:"p50,omitempty"`
	P99      float64 `json:"p99,omitempty"`
	// First is the time to the first event, Delay how long events are under way.
	FirstP50 float64 `json:"firstP50,omitempty"`
	FirstP99 float64 `json:"firstP99,omitempty"`
	DelayP50 float64 `json:"delayP50,omitempty"`
	DelayP99 float64 `json:"delayP99,omitempty"`
	// Memory is resident bytes per open stream.
	Memory float64 `json:"memoryPerStream,omitempty"`
}

// measure takes all rounds. Within a round the subjects of a scenario take turns, in an order that changes.
func (o *options) measure(ctx context.Context, list []scenario) (*Report, error) {
	b, err := newBench(ctx, o)
	if err != nil {
		return nil, err
	}
	defer b.close()
	list, missing := possible(list)
	r := newReport(b.subjects, list)
	r.Missing = append(missing, b.missing...)
	for round := range o.rounds {
		for i := range list {
			fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, o.rounds, list[i].Name)
			names := b.of(&list[i])
			for n := range names {
				name := names[(n+round)%len(names)]
				if err := b.round(ctx, r, &list[i], i, name); err != nil {
					return nil, err
				}
			}
		}
	}
	return r, nil
}

// round measures one subject once, for the report. A peer that fails is left out from then on: what others do is still worth knowing.
func (b *bench) round(ctx context.Context, r *Report, s *scenario, i int, name string) error {
	f, err := b.one(ctx, s, name)
	if err == nil {
		r.add(i, name, f)
		return nil
	}
	err = fmt.Errorf("%s, %s: %w", s.Name, name, err)
	if b.peers[name] == nil || ctx.Err() != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, err)
	b.failed = append(b.failed, name)
	if sub := b.running[name]; sub != nil {
		sub.proc.Stop()
		delete(b.running, name)
	}
	line, _, _ := strings.Cut(err.Error(), "\n") // what follows is the end of what the program said
	r.Failed = append(r.Failed, line)
	return nil
}

// possible leaves out scenarios whose programs are not installed.
func possible(list []scenario) (out []scenario, missing []string) {
	if _, err := exec.LookPath(redisServer); err == nil {
		return list, nil
	}
	for _, s := range list {
		if s.redis {
			missing = append(missing, s.Name)
		} else {
			out = append(out, s)
		}
	}
	return out, missing
}

// one measures one subject once.
func (b *bench) one(ctx context.Context, s *scenario, name string) (Figures, error) {
	if s.memory {
		return b.memory(ctx, s, name)
	}
	sub, err := b.get(ctx, s.as(name))
	if err != nil {
		return Figures{}, err
	}
	profile := b.profile(s, sub)
	defer profile()
	var before, after time.Duration
	var beforeErr, afterErr error
	res, err := load.Run(ctx, s.job(sub, b.o),
		func() { before, beforeErr = sub.proc.CPU() },
		func() { after, afterErr = sub.proc.CPU() })
	if err := errors.Join(err, beforeErr, afterErr); err != nil {
		return Figures{}, err
	}
	f := figures(res)
	if name != direct && res.Requests() > 0 {
		f.CPU = micros((after - before).Nanoseconds()) / float64(res.Requests())
	}
	return f, failure(res)
}

// failure is an error if nothing was answered.
func failure(r *load.Result) error {
	if r.Requests() == 0 {
		return fmt.Errorf("no request was answered: %w", r.LastError)
	}
	return nil
}

func figures(r *load.Result) Figures {
	at := func(sorted []int64, p float64) float64 { return micros(stats.Percentile(sorted, p)) }
	return Figures{
		Requests: r.Requests(), Errors: r.Errors, Rate: float64(r.Requests()) / r.Elapsed.Seconds(),
		P50: at(r.Latencies, 50), P99: at(r.Latencies, 99),
		FirstP50: at(r.First, 50), FirstP99: at(r.First, 99),
		DelayP50: at(r.Delays, 50), DelayP99: at(r.Delays, 99),
	}
}

func micros(nanos int64) float64 { return float64(nanos) / 1e3 }

// memory opens streams through a fresh process, and looks at its memory just before the first of them ends.
func (b *bench) memory(ctx context.Context, s *scenario, name string) (Figures, error) {
	if name == direct {
		return Figures{}, nil
	}
	sub, err := b.start(ctx, s.as(name))
	if err != nil {
		return Figures{}, err
	}
	defer sub.proc.Stop()
	warm := s.short()
	if _, err := load.Run(ctx, warm.job(sub, b.o), func() {}, func() {}); err != nil {
		return Figures{}, err
	}
	before, err := sub.proc.Memory()
	if err != nil {
		return Figures{}, err
	}
	during := make(chan int64, 1)
	time.AfterFunc(b.o.hold, func() {
		n, _ := sub.proc.Memory()
		during <- n
	})
	res, err := load.Run(ctx, s.job(sub, b.o), func() {}, func() {})
	if err != nil {
		return Figures{}, err
	}
	f := figures(res)
	f.Rate, f.P50, f.P99 = 0, 0, 0
	f.Memory = float64(<-during-before) / float64(s.conns)
	return f, failure(res)
}

// short is the scenario with one stream that ends soon, and has been long enough that all is loaded that streams need once.
func (s *scenario) short() scenario {
	warm := *s
	warm.conns, warm.events = 1, 100
	if s.h2 {
		warm.path = "/bench.Echo/stream-100-1ms"
	} else {
		warm.body = chatBody("stream-100-1ms", 1<<10, true)
	}
	return warm
}

var notWord = regexp.MustCompile(`[^a-zA-Z0-9]+`)

// profile starts a CPU profile of the gateway, if profiles are wanted; what it returns waits for its end.
func (b *bench) profile(s *scenario, sub *subject) func() {
	if b.o.profiles == "" || sub.admin == "" {
		return func() {}
	}
	seconds := max(1, int(b.o.duration.Seconds()))
	done := make(chan error, 1)
	go func() {
		name := filepath.Join(b.o.profiles, notWord.ReplaceAllString(s.Name, "-")+".pprof")
		done <- download(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", sub.admin, seconds), name)
	}()
	return func() {
		if err := <-done; err != nil {
			fmt.Fprintln(os.Stderr, "profile:", err)
		}
	}
}

func download(url, name string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return writeFile(name, func(w io.Writer) error {
		_, err := io.Copy(w, resp.Body)
		return err
	})
}
