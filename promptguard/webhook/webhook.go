// Package webhook holds guards that ask someone else: a service with our JSON contract, or a moderation endpoint of OpenAI's
// kind. Like package promptguard it must not import the packages that know requests (ai, gateway) or anything of Kubernetes.
//
// Our contract: POST {"role": "user", "part": "text", "partial": false, "content": "…"} and an answer of 200 with
// {"action": "Allow", "findings": [{"rule": "…", "kind": "…", "start": 0, "end": 4, "action": "Mask"}]}. Actions are Allow,
// Audit, Hash, Mask and Block; offsets are in bytes of the content as UTF-8. An action without findings is one about the
// whole content. Anything else is a failure.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/nantian-gw/nantian/promptguard"
)

// A FailureMode says what becomes of a text that could not be judged.
type FailureMode uint8

// Closed, the default, makes Inspect fail; Open lets the text pass.
const (
	Closed FailureMode = iota
	Open
)

// A Kind is the form of the questions and answers.
type Kind uint8

// Check is our contract, Moderation that of OpenAI's /v1/moderations.
const (
	Check Kind = iota
	Moderation
)

// Options say whom to ask, and how.
type Options struct {
	Rule    string // the name findings have
	URL     string
	Kind    Kind
	Action  promptguard.Action // for Moderation: what to do about what is flagged
	Model   string             // for Moderation: "omni-moderation-latest" when empty
	Header  http.Header        // as Authorization
	Timeout time.Duration      // of one question, with the wait for its turn: a second when 0
	Failure FailureMode
	// Concurrency is how many questions are asked at once: 64 when 0.
	Concurrency int
	// Transport carries the questions: one of its own when nil. Redirects are not followed.
	Transport http.RoundTripper
	// Done is told of each question when it has ended: ok, failed or timeout, and how long it took with the wait for its turn.
	Done func(outcome string, took time.Duration)
}

// ErrFailed is in every error of a guard that got no answer it could use.
var ErrFailed = errors.New("the guard gave no verdict")

// A Guard asks a webhook. It may be used by many goroutines at once.
type Guard struct {
	opts   Options
	client *http.Client
	turns  chan struct{}
	stats  Stats
}

// Stats are numbers for metrics. They only grow, but for Waiting.
type Stats struct {
	Asked, Failed, TimedOut, Waiting atomic.Int64
}

var _ promptguard.Guard = (*Guard)(nil)

const (
	defaultTimeout     = time.Second
	defaultConcurrency = 64
	defaultModel       = "omni-moderation-latest"
	maxAnswer          = 1 << 20
	maxFindings        = 10_000
)

// New returns a Guard. The error names the option.
func New(o Options) (*Guard, error) {
	if !strings.HasPrefix(o.URL, "http://") && !strings.HasPrefix(o.URL, "https://") {
		return nil, errors.New("webhook: url: not an http or https URL")
	}
	if o.Timeout < 0 || o.Concurrency < 0 {
		return nil, errors.New("webhook: timeout, concurrency: negative")
	}
	if o.Kind == Moderation && (o.Action < promptguard.Audit || o.Action == promptguard.Hash || o.Action == promptguard.Mask) {
		return nil, fmt.Errorf("webhook: action: moderation flags whole texts: Audit or Block, not %v", o.Action)
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Concurrency == 0 {
		o.Concurrency = defaultConcurrency
	}
	if o.Model == "" {
		o.Model = defaultModel
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{MaxIdleConnsPerHost: o.Concurrency, MaxConnsPerHost: o.Concurrency, IdleConnTimeout: time.Minute,
			TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true}
	}
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Guard{opts: o, client: &http.Client{Transport: o.Transport, CheckRedirect: noRedirect}, turns: make(chan struct{}, o.Concurrency)}, nil
}

// Stats returns the numbers of the guard, which go on changing.
func (g *Guard) Stats() *Stats { return &g.stats }

// Close ends idle connections.
func (g *Guard) Close() { g.client.CloseIdleConnections() }

// Inspect asks the webhook about a text. Errors wrap ErrFailed and never hold the text or what the webhook said.
func (g *Guard) Inspect(ctx context.Context, t promptguard.Text) (promptguard.Verdict, error) {
	began := time.Now()
	v, err := g.ask(ctx, t)
	g.done(err, time.Since(began))
	if err == nil {
		return v, nil
	}
	g.stats.Failed.Add(1)
	if ctx.Err() != nil || g.opts.Failure == Closed {
		return promptguard.Verdict{}, fmt.Errorf("rule %s: webhook: %w: %w", g.opts.Rule, ErrFailed, err)
	}
	return promptguard.Verdict{}, nil
}

func (g *Guard) done(err error, took time.Duration) {
	switch {
	case g.opts.Done == nil:
	case err == nil:
		g.opts.Done("ok", took)
	case errors.Is(err, errTimeout):
		g.opts.Done("timeout", took)
	default:
		g.opts.Done("failed", took)
	}
}

var errTimeout = errors.New("timeout")

func (g *Guard) ask(ctx context.Context, t promptguard.Text) (promptguard.Verdict, error) {
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, g.opts.Timeout)
	defer cancel()
	timedOut := func(err error) error {
		if outer.Err() == nil && ctx.Err() != nil {
			g.stats.TimedOut.Add(1)
			return errTimeout
		}
		return err
	}
	g.stats.Waiting.Add(1)
	select {
	case g.turns <- struct{}{}:
		g.stats.Waiting.Add(-1)
	case <-ctx.Done():
		g.stats.Waiting.Add(-1)
		return promptguard.Verdict{}, timedOut(ctx.Err())
	}
	defer func() { <-g.turns }()
	g.stats.Asked.Add(1)
	v, err := g.exchange(ctx, t)
	if err != nil {
		return promptguard.Verdict{}, timedOut(err)
	}
	return v, nil
}

func (g *Guard) exchange(ctx context.Context, t promptguard.Text) (promptguard.Verdict, error) {
	var none promptguard.Verdict
	body, err := g.question(t)
	if err != nil {
		return none, errors.New("the text cannot be sent")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.opts.URL, bytes.NewReader(body))
	if err != nil {
		return none, errors.New("the URL cannot be used")
	}
	if g.opts.Header != nil {
		req.Header = g.opts.Header.Clone()
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := g.client.Do(req)
	if err != nil {
		return none, errors.New("no answer")
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return none, errors.New("the answer broke off")
	case resp.StatusCode != http.StatusOK:
		return none, fmt.Errorf("status %d", resp.StatusCode)
	case len(answer) > maxAnswer:
		return none, errors.New("the answer is longer than 1 MiB")
	}
	if g.opts.Kind == Moderation {
		return g.moderated(answer, t)
	}
	return g.checked(answer, t)
}

type question struct {
	Role    string `json:"role"`
	Part    string `json:"part"`
	Partial bool   `json:"partial"`
	Content string `json:"content"`
}

func (g *Guard) question(t promptguard.Text) ([]byte, error) {
	if !utf8.Valid(t.Content) {
		return nil, errors.New("not UTF-8")
	}
	if g.opts.Kind == Moderation {
		return json.Marshal(map[string]string{"model": g.opts.Model, "input": string(t.Content)})
	}
	return json.Marshal(question{t.Role, t.Part, t.Partial, string(t.Content)})
}

type verdict struct {
	Action   string `json:"action"`
	Findings []struct {
		Rule   string `json:"rule"`
		Kind   string `json:"kind"`
		Start  int    `json:"start"`
		End    int    `json:"end"`
		Action string `json:"action"`
	} `json:"findings"`
}

func (g *Guard) checked(answer []byte, t promptguard.Text) (promptguard.Verdict, error) {
	var v verdict
	var out promptguard.Verdict
	if err := json.Unmarshal(answer, &v); err != nil {
		return out, errors.New("the answer is not the JSON that was expected")
	}
	action, ok := promptguard.ParseAction(v.Action)
	if !ok || len(v.Findings) > maxFindings {
		return out, errors.New("the answer has no known action, or too many findings")
	}
	for _, f := range v.Findings {
		a, ok := promptguard.ParseAction(f.Action)
		if !ok || f.Start < 0 || f.End > len(t.Content) || f.Start >= f.End {
			return out, errors.New("the answer has a finding without a known action or outside of the text")
		}
		if a != promptguard.Allow {
			out.Findings = append(out.Findings, promptguard.NewFinding(g.opts.Rule, "Webhook/"+name(f.Kind), f.Start, f.End, a))
			out.Action = max(out.Action, a)
		}
	}
	if action > out.Action && len(t.Content) > 0 {
		out.Findings = append(out.Findings, promptguard.NewFinding(g.opts.Rule, "Webhook", 0, len(t.Content), action))
		out.Action = action
	}
	slices.SortStableFunc(out.Findings, promptguard.CompareFindings)
	return out, nil
}

// name keeps of a kind what a metric's label may have, so that an answer cannot carry a text into it.
func name(kind string) string {
	const longest = 32
	var b strings.Builder
	for _, c := range kind {
		if b.Len() < longest && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_' || c == '/') {
			b.WriteRune(c)
		}
	}
	return b.String()
}

type moderation struct {
	Results []struct {
		Flagged    *bool           `json:"flagged"`
		Categories map[string]bool `json:"categories"`
	} `json:"results"`
}

func (g *Guard) moderated(answer []byte, t promptguard.Text) (promptguard.Verdict, error) {
	var m moderation
	var out promptguard.Verdict
	if err := json.Unmarshal(answer, &m); err != nil || len(m.Results) == 0 || m.Results[0].Flagged == nil {
		return out, errors.New("the answer is not one of a moderation endpoint")
	}
	if !*m.Results[0].Flagged {
		return out, nil
	}
	out.Action = g.opts.Action
	var categories []string
	for c, flagged := range m.Results[0].Categories {
		if flagged {
			categories = append(categories, c)
		}
	}
	slices.Sort(categories)
	if len(categories) == 0 {
		categories = []string{"flagged"}
	}
	for _, c := range categories {
		out.Findings = append(out.Findings, promptguard.NewFinding(g.opts.Rule, "Moderation/"+name(c), 0, len(t.Content), g.opts.Action))
	}
	return out, nil
}
