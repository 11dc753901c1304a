package docs

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/controlplane/controller"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/guard"
	"github.com/nantian-gw/nantian/gateway/l4"
	"github.com/nantian-gw/nantian/gateway/observe"
)

const metricsIntroduction = `# Metrics

Written by ` + "`make generate`" + ` from the registered instruments. They are served in Prometheus' text format at ` + "`/metrics`" + ` of the
admin listener. Beside these there are the usual ones of Go programs and processes (` + "`go_*`, `process_*`" + `).

Labels are bounded by the configuration: ` + "`gateway`, `route` and `provider` are `<namespace>/<name>`, `backend` is\n`<namespace>/<service>:<port>` or a provider" + `,
and ` + "`model`" + ` is the provider's name of the model as the configuration has it, or the pattern (` + "`*`" + `) that it fell under. A request
that matched no route has empty labels.

| metric | type | labels | meaning |
|---|---|---|---|
`

func TestMetrics(t *testing.T) {
	m := observe.NewMetrics()
	use(m)
	var b strings.Builder
	b.WriteString(metricsIntroduction)
	instruments(t, &b, m.Registry())
	b.WriteString("\n## Control plane\n\nWhat `nantian controller` serves beside the usual ones, on the listener of `--health`.\n\n" +
		"| metric | type | labels | meaning |\n|---|---|---|---|\n")
	instruments(t, &b, controller.Instruments())
	generated(t, "reference/metrics.md", b.String())
}

// instruments writes a line for each instrument of a registry.
func instruments(t *testing.T, b *strings.Builder, r *prometheus.Registry) {
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := described(r)
	for _, f := range families {
		delete(all, f.GetName())
		if strings.HasPrefix(f.GetName(), "go_") || strings.HasPrefix(f.GetName(), "process_") {
			continue
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), labels(f), cell(f.GetHelp()))
	}
	for name := range all {
		if strings.HasPrefix(name, "nantian_") || strings.HasPrefix(name, "gen_ai_") {
			t.Errorf("the test gives %s no value: add it to use", name)
		}
	}
}

// use gives each instrument a value, so that it is gathered.
func use(m *observe.Metrics) {
	o := &observe.Observer{Metrics: m, Log: slog.New(slog.DiscardHandler)}
	x := fullExchange()
	defer exchange.Release(x)
	o.Finished(x, 1)
	o.Connections(1)
	o.AcceptWaited()
	o.LogDropped()
	o.SessionOpened(fullSession())
	o.SessionEnded(fullSession(), true)
	o.DatagramDropped(l4.DropFull)
	m.Config(true)
	m.Mirrored("sent")
	m.Target("ns/provider", "model").Attempt("ok", time.Second)
	m.AuthPolicy("ns/policy").Fetched(true)
	m.ExternalAuth("ns/service:80").Asked("allowed", time.Second)
	m.Guards().Rule("ns/policy", "rule", "Mask", false).Found(guard.Request, 1)
	m.Guards().Refused("blocked", guard.Request)
	w := m.Guards().Webhook("ns/policy", "rule")
	w.Asked("ok", time.Second)
	w.Waiting(1)
	m.Limit("ns/policy", "limit", "TOKENS").Refused("limited")
	m.WatchLimits(func() observe.LimitStats { return observe.LimitStats{} })
	b := m.Backend("shop/cart:80")
	b.Endpoints("fit", 1)
	b.Ejected("5xx")
	b.Refused("requests")
	b.Checked(true)
	m.ControlPlane().Response("resources", 1, false, time.Second)
}

// described are the names of all registered instruments.
func described(r *prometheus.Registry) map[string]bool {
	ch := make(chan *prometheus.Desc)
	go func() {
		r.Describe(ch)
		close(ch)
	}()
	names := map[string]bool{}
	for d := range ch {
		_, name, _ := strings.Cut(d.String(), `fqName: "`)
		name, _, _ = strings.Cut(name, `"`)
		names[name] = true
	}
	return names
}

func labels(f *dto.MetricFamily) string {
	var names []string
	for _, l := range f.Metric[0].Label {
		names = append(names, "`"+l.GetName()+"`")
	}
	return strings.Join(names, ", ")
}

// fullExchange is a model call of which everything is known.
func fullExchange() *exchange.Exchange {
	x := exchange.Acquire(context.Background(), nil)
	x.Start, x.Client, x.Proto, x.Minor = time.Now(), netip.MustParseAddrPort("192.0.2.1:1234"), 2, 0
	x.Req.SetContentType("application/grpc")
	x.Resp.Set("Grpc-Status", "0")
	x.Path, x.Note, x.Backend = []byte("/v1/chat/completions"), "note", "ns/provider"
	x.Route = &exchange.RouteInfo{Gateway: "ns/gw", Listener: "http", Kind: "HTTPRoute", Route: "ns/route", Rule: "0"}
	x.Model = exchange.ModelInfo{Provider: "ns/provider", Model: "m", Requested: "r", Attempts: 1, FirstToken: time.Second, Streamed: true, Aborted: true,
		Limit: "ns/policy/limit", LimitOutcome: "refused", Cost: 1}
	x.Authz = exchange.Authorization{Result: "allowed", Took: time.Second}
	x.Identity = &exchange.Identity{APIKey: "ns/key", Issuer: "https://idp.example.com", Subject: "alice"}
	x.Model.Guard = found{{Policy: "ns/policy", Rule: "rule", Action: "Mask", Side: "request", Monitor: true, N: 1}}
	x.LLM = &ai.Exchange{Op: ai.OpChat, Finish: ai.FinishStop, Usage: ai.Usage{Input: 1, Output: 1, Estimated: true}}
	return x
}

// found is what a prompt guard has found.
type found []exchange.Finding

func (f found) Found() []exchange.Finding { return f }
