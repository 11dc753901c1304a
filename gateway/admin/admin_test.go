package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/limit"
	"github.com/nantian-gw/nantian/tokenizer/approx"
)

type source struct {
	rs    map[string]*xdsv1.Resource
	ready error
}

func (s *source) Ready() error { return s.ready }
func (s *source) Estimates() []approx.Learned {
	return []approx.Learned{{Model: "claude-x", Input: approx.Ratio{Factor: 1.25, Error: .03, Observations: 40}}}
}
func (s *source) Limits(_ context.Context, q limit.Query) (*limit.Report, error) {
	if q.Policy == "wrong" {
		return nil, errors.New("there is no such policy")
	}
	return &limit.Report{Store: "memory", Buckets: []limit.Bucket{{Policy: q.Policy, Limit: q.Limit, Hash: strings.Join(q.Values, "+")}}}, nil
}

func (s *source) Received() (map[string]*xdsv1.Resource, map[string]*xdsv1.Endpoints) {
	return s.rs, map[string]*xdsv1.Endpoints{"e": {Key: "e"}}
}

var metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "nantian_up 1\n") })

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

func TestPages(t *testing.T) {
	s := &source{ready: errors.New("no configuration has been applied yet")}
	h := Handler(s, metrics)
	f := func(path string, status int, part string) {
		t.Helper()
		if code, body := get(t, h, path); code != status || !strings.Contains(body, part) {
			t.Errorf("%s: %d %q, want %d with %q", path, code, body, status, part)
		}
	}
	f("/healthz", 200, "ok")
	f("/readyz", 503, "no configuration")
	s.ready = nil
	f("/readyz", 200, "ok")
	f("/metrics", 200, "nantian_up 1")
	f("/debug/pprof/", 200, "goroutine")
	f("/config_dump", 200, `"endpoints"`)
	f("/estimates", 200, `"factor": 1.25`)
	f("/limits?policy=ai/p&limit=day&key=a&key=b", 200, `"hash": "a+b"`)
	f("/limits?policy=wrong", 400, "no such policy")
	f("/else", 404, "")
}

func secret(key, value string) *xdsv1.Resource {
	return &xdsv1.Resource{Kind: &xdsv1.Resource_Secret{Secret: &xdsv1.Secret{Key: key,
		Kind: &xdsv1.Secret_Opaque{Opaque: &xdsv1.Opaque{Data: map[string][]byte{"api-key": []byte(value)}}}}}}
}

func header(name, value string) *xdsv1.Header { return &xdsv1.Header{Name: name, Value: value} }

// No secret is in a dump: of Secrets there is a hash, and credentials that filters set are hidden.
func TestDumpHidesSecrets(t *testing.T) {
	const value = "sk-this-is-secret"
	modifier := &xdsv1.HeaderModifier{
		Set: []*xdsv1.Header{header("authorization", "Bearer "+value), header("X-Shown", "shown")},
		Add: []*xdsv1.Header{header("X-Api-Key", value)},
	}
	filters := []*xdsv1.Filter{{Kind: &xdsv1.Filter_RequestHeaders{RequestHeaders: modifier}}}
	route := &xdsv1.Route{Key: "r", Rules: &xdsv1.Route_Http{Http: &xdsv1.HTTPRules{Rules: []*xdsv1.HTTPRule{{
		Filters: filters, Backends: []*xdsv1.WeightedBackend{{Filters: filters}}}}}}}
	s := &source{rs: map[string]*xdsv1.Resource{"s": secret("s", value), "same": secret("s", value), "other": secret("s", "x"),
		"r": {Kind: &xdsv1.Resource_Route{Route: route}},
		"p": {Kind: &xdsv1.Resource_Provider{Provider: &xdsv1.Provider{Key: "p", Headers: map[string]string{"x-portkey": value}}}}}}
	_, body := get(t, Handler(s, metrics), "/config_dump")
	if strings.Contains(body, value) || strings.Contains(body, "c2stdGhpcy1pcy1zZWNyZXQ") || !strings.Contains(body, "shown") || !strings.Contains(body, "x-portkey") {
		t.Errorf("dump: %s", body)
	}
	if modifier.Add[0].Value != value {
		t.Error("the dump changed the configuration")
	}
	var dump struct {
		Resources []struct{ Secret *struct{ Key, Hash string } }
	}
	if err := json.Unmarshal([]byte(body), &dump); err != nil {
		t.Fatal(err)
	}
	hashes := map[string]int{}
	for _, r := range dump.Resources {
		if r.Secret != nil {
			hashes[r.Secret.Hash]++
		}
	}
	if len(hashes) != 2 {
		t.Errorf("hashes %v, want two that differ and one twice", hashes)
	}
}
