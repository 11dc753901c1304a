// Package admin serves what operators and machines ask of a data plane, on a listener of its own: an expensive question
// there must not slow traffic down.
package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/pprof"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// Source is what the pages show.
type Source interface {
	// Ready says why the data plane should get no traffic; nil: it should.
	Ready() error
	Received() (map[string]*xdsv1.Resource, map[string]*xdsv1.Endpoints)
}

// Handler serves /healthz, /readyz, /metrics, /config_dump and /debug/pprof/.
func Handler(s Source, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte("ok\n"))
	})
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /config_dump", func(w http.ResponseWriter, _ *http.Request) { dump(w, s) })
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// dump writes the configuration by key. Of a Secret it shows a hash.
func dump(w http.ResponseWriter, s Source) {
	rs, eps := s.Received()
	var out struct {
		Resources []json.RawMessage `json:"resources"`
		Endpoints []json.RawMessage `json:"endpoints"`
	}
	for _, key := range slices.Sorted(maps.Keys(rs)) {
		out.Resources = append(out.Resources, encode(key, rs[key]))
	}
	for _, key := range slices.Sorted(maps.Keys(eps)) {
		out.Endpoints = append(out.Endpoints, message(eps[key]))
	}
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.Encode(out)
}

func encode(key string, r *xdsv1.Resource) json.RawMessage {
	if s := r.GetSecret(); s != nil {
		b, _ := json.Marshal(map[string]any{"secret": map[string]string{"key": key, "sha256": hash(s)}})
		return b
	}
	return message(r)
}

func message(m proto.Message) json.RawMessage {
	b, err := protojson.Marshal(m)
	if err != nil {
		b, _ = json.Marshal(err.Error())
	}
	return b
}

// hash tells versions of a secret apart without saying anything about it.
func hash(s *xdsv1.Secret) string {
	b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(s)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
