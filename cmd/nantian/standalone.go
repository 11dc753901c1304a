package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane"
	"github.com/nantian-gw/nantian/controlplane/source"
	"github.com/nantian-gw/nantian/controlplane/status"
	"github.com/nantian-gw/nantian/gateway"
	"github.com/nantian-gw/nantian/gateway/config"
)

// standalone pipes what the control plane makes into the data plane of the same process, and tells what is wrong.
type standalone struct {
	gw    *gateway.Gateway
	log   *slog.Logger
	out   io.Writer
	told  map[string]bool
	ready bool
}

func newStandalone(gw *gateway.Gateway, log *slog.Logger, out io.Writer) *standalone {
	return &standalone{gw: gw, log: log, out: out, told: map[string]bool{}}
}

// run feeds the gateway from a source until ctx ends.
func (s *standalone) run(ctx context.Context, from source.Source) error {
	return controlplane.Run(ctx, from, func(u controlplane.Update) { s.apply(ctx, u) })
}

func (s *standalone) apply(ctx context.Context, u controlplane.Update) {
	s.tell(complaints(u))
	err := s.gw.Apply(ctx, config.Update{Full: u.Full, Set: u.Set, Removed: u.Removed,
		Endpoints: u.Endpoints, RemovedEndpoints: u.RemovedEndpoints})
	if err != nil {
		s.log.Error("configuration not applied in full", "error", err)
	}
	if !s.ready {
		s.ready = true
		io.WriteString(s.out, s.greeting(u.Set))
		return
	}
	if n := len(u.Set) + len(u.Removed) + len(u.Endpoints) + len(u.RemovedEndpoints); n > 0 && err == nil {
		s.log.Info("configuration applied", "changed", len(u.Set), "removed", len(u.Removed), "endpoints", len(u.Endpoints)+len(u.RemovedEndpoints))
	}
}

// complaints are the problems of files and the conditions that are not as they should be, one text each.
func complaints(u controlplane.Update) map[string]slog.Level {
	out := map[string]slog.Level{}
	for _, p := range u.Problems {
		level := slog.LevelError
		if p.Warning {
			level = slog.LevelWarn
		}
		out[p.String()] = level
	}
	for _, o := range u.Statuses {
		for _, c := range conditions(o) {
			if !status.Good(c) {
				out[fmt.Sprintf("%s: %s: %s is %s (%s): %s", o.Origin, o.Ref, c.Type, c.Status, c.Reason, c.Message)] = slog.LevelError
			}
		}
	}
	return out
}

// conditions are all of an object's, those of its listeners and parents included.
func conditions(o status.Update) []metav1.Condition {
	all := slices.Clone(o.Conditions)
	for _, l := range o.Listeners {
		all = append(all, l.Conditions...)
	}
	for _, p := range o.Parents {
		all = append(all, p.Conditions...)
	}
	return all
}

// tell logs what has not been told before, and what has been mended.
func (s *standalone) tell(now map[string]slog.Level) {
	for _, text := range slices.Sorted(maps.Keys(now)) {
		if !s.told[text] {
			s.log.Log(context.Background(), now[text], text)
		}
	}
	for text := range s.told {
		if _, still := now[text]; !still {
			s.log.Info("no longer: " + text)
			delete(s.told, text)
		}
	}
	for text := range now {
		s.told[text] = true
	}
}

// greeting says where the gateway is, which models it serves and how to call one.
func (s *standalone) greeting(rs map[string]*xdsv1.Resource) string {
	var b strings.Builder
	for _, a := range s.gw.Addrs() {
		fmt.Fprintf(&b, "\nNantian Gateway listens at %s%s\n", a, map[bool]string{true: " (UDP)"}[a.Network() == "udp"])
	}
	models := servedModels(rs)
	if len(models) == 0 || len(s.gw.Addrs()) == 0 {
		return b.String()
	}
	fmt.Fprintf(&b, "models: %s\n\nTry it:\n\n  curl http://%s/v1/chat/completions -H 'content-type: application/json' \\\n"+
		"    -d '{\"model\": \"%s\", \"messages\": [{\"role\": \"user\", \"content\": \"Hello!\"}]}'\n\n",
		strings.Join(models, ", "), s.gw.Addrs()[0], models[0])
	return b.String()
}

// servedModels are the names that clients may ask for, those without "*" first.
func servedModels(rs map[string]*xdsv1.Resource) []string {
	var exact, patterns []string
	for _, key := range slices.Sorted(maps.Keys(rs)) {
		for _, m := range rs[key].GetModelMap().GetModels() {
			if strings.Contains(m.Name, "*") {
				patterns = append(patterns, m.Name)
			} else {
				exact = append(exact, m.Name)
			}
		}
	}
	if len(exact)+len(patterns) == 0 {
		for _, key := range slices.Sorted(maps.Keys(rs)) {
			for _, m := range rs[key].GetProvider().GetModels() {
				exact = append(exact, m.Name)
			}
		}
	}
	return append(exact, patterns...)
}
