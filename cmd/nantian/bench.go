package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nantian-gw/nantian/internal/bench"
	"github.com/nantian-gw/nantian/tokenizer"
)

// benchFlags are those of nantian bench.
type benchFlags struct {
	job                     bench.Job
	prompts, keyEnv, output string
	headers                 []string
	promptTokens            int
	whole, quiet            bool
}

func newBenchCommand() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench [URL]",
		Short: "Put load on an OpenAI-compatible endpoint, and measure it",
		Long: `Bench asks an OpenAI-compatible endpoint for chat completions, many at once, and prints time to the first token, time between
tokens, tokens a second and percentiles. URL is the base that SDKs are given; without one it is the quickstart's. It exits
with 1 when no request was answered.`,
		Example: `  nantian run -f examples/quickstart --simulate 127.0.0.1:9100
  nantian bench --model sim --concurrency 8 --duration 10s
  nantian bench https://api.openai.com/v1 --model gpt-5-mini --api-key-env OPENAI_API_KEY --requests 20 --rate 2 -o json`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, urls []string) error {
			r, err := f.runner(cmd, urls)
			if err != nil {
				return usageError{err}
			}
			return f.run(cmd, r)
		},
	}
	f.add(cmd)
	return cmd
}

func (f *benchFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.job.Model, "model", "sim", "model to ask for")
	flags.IntVarP(&f.job.Concurrency, "concurrency", "c", 8, "requests under way at once, at most")
	flags.Float64Var(&f.job.Rate, "rate", 0, "requests that begin in a second; 0: each as soon as one before it has ended")
	flags.IntVarP(&f.job.Requests, "requests", "n", 0, "end after so many requests; 0: --duration decides")
	flags.DurationVarP(&f.job.Duration, "duration", "d", 0, "begin requests for this long (default 10s without --requests)")
	flags.IntVar(&f.job.Warm, "warm", 1, "requests that come first and are not measured")
	flags.DurationVar(&f.job.Timeout, "timeout", 5*time.Minute, "longest time of a request; 0: none")
	flags.IntVar(&f.job.MaxTokens, "max-tokens", 256, "most tokens of an answer; 0: the model decides")
	flags.StringVar(&f.prompts, "prompts", "", `file with a prompt a line: text, JSON text, or {"prompt": "..."}; - is standard input`)
	flags.IntVar(&f.promptTokens, "prompt-tokens", 256, "length of made-up prompts, in tokens, about")
	flags.BoolVar(&f.whole, "no-stream", false, "ask for whole answers in place of streams")
	flags.StringVar(&f.keyEnv, "api-key-env", "", "environment variable with the key that is sent as Authorization: Bearer")
	flags.StringArrayVarP(&f.headers, "header", "H", nil, `header of each request, "Name: value"; can be repeated`)
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "show no progress")
	outputFlag(cmd, &f.output)
}

// runner reads what the flags name. Its errors are of usage.
func (f *benchFlags) runner(cmd *cobra.Command, urls []string) (*bench.Runner, error) {
	j := &f.job
	j.URL = "http://127.0.0.1:8080/v1"
	if len(urls) > 0 {
		j.URL = urls[0]
	}
	u, err := url.Parse(j.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("URL: expected a base such as http://127.0.0.1:8080/v1")
	}
	j.URL = strings.TrimSuffix(u.String(), "/") + "/chat/completions"
	if j.Requests <= 0 && j.Duration <= 0 {
		j.Duration = 10 * time.Second
	}
	j.Stream = !f.whole
	if j.Header, err = f.header(); err != nil {
		return nil, err
	}
	if j.Prompts, err = f.readPrompts(cmd.InOrStdin()); err != nil {
		return nil, fmt.Errorf("--prompts: %w", err)
	}
	count := tokenizer.New().ForModel(j.Model)
	j.Count = count.Count
	return bench.New(*j)
}

func (f *benchFlags) header() (http.Header, error) {
	h := http.Header{}
	for _, line := range f.headers {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("--header %q: expected Name: value", name)
		}
		h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	if f.keyEnv != "" {
		key := os.Getenv(f.keyEnv)
		if key == "" {
			return nil, fmt.Errorf("--api-key-env: %s is not set", f.keyEnv)
		}
		h.Set("Authorization", "Bearer "+key)
	}
	return h, nil
}

func (f *benchFlags) readPrompts(stdin io.Reader) ([]string, error) {
	switch f.prompts {
	case "":
		if f.promptTokens < 1 {
			return nil, errors.New("--prompt-tokens: expected 1 or more")
		}
		return bench.Synthetic(1000, f.promptTokens), nil
	case "-":
		return bench.ReadPrompts(stdin)
	}
	file, err := os.Open(f.prompts)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return bench.ReadPrompts(file)
}

func (f *benchFlags) run(cmd *cobra.Command, r *bench.Runner) error {
	ctx, done := context.WithCancel(cmd.Context())
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		if !f.quiet {
			showProgress(ctx, cmd.ErrOrStderr(), r)
		}
	}()
	report := r.Run(cmd.Context())
	done()
	<-shown
	if err := f.print(cmd.OutOrStdout(), report); err != nil {
		return err
	}
	if report.Requests == 0 {
		return errWrong
	}
	return nil
}

func (f *benchFlags) print(w io.Writer, report *bench.Report) error {
	if f.output == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(report)
	}
	return report.WriteText(w)
}

// showProgress writes a line a second until ctx ends.
func showProgress(ctx context.Context, w io.Writer, r *bench.Runner) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p := r.Progress()
			fmt.Fprintf(w, "%3.0f s: %d answered, %d failed, %d tokens, first token %s\n",
				p.Elapsed.Seconds(), p.Requests, p.Failed, p.OutputTokens, p.First.Round(100*time.Microsecond))
		}
	}
}
