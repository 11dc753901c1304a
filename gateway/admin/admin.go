// Package admin serves what operators and machines ask of a data plane, on a listener of its own: an expensive question
// there must not slow traffic down.
package admin

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/limit"
	"github.com/nantian-gw/nantian/tokenizer/approx"
)

// Source is what the pages show.
type Source interface {
	// Ready says why the data plane should get no traffic; nil: it should.
	Ready() error
	// Estimates are what was learned of models whose tokens are estimated.
	Estimates() []approx.Learned
	// Limits are the buckets of TokenPolicies.
	Limits(ctx context.Context, q limit.Query) (*limit.Report, error)
	Received() (map[string]*xdsv1.Resource, map[string]*xdsv1.Endpoints)
}

// Handler serves /healthz, /readyz, /metrics, /config_dump, /estimates, /limits and /debug/pprof/.
func Handler(s Source, metrics http.Handler) http.Handler {
	salt := make([]byte, sha256.Size)
	rand.Read(salt)
	mux := Health(s.Ready, metrics)
	mux.HandleFunc("GET /config_dump", func(w http.ResponseWriter, _ *http.Request) { dump(w, s, salt) })
	mux.HandleFunc("GET /estimates", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]any{"models": s.Estimates()})
	})
	mux.HandleFunc("GET /limits", func(w http.ResponseWriter, r *http.Request) { limits(w, r, s) })
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// Health serves /healthz, /readyz and /metrics alone: what a cluster asks of each pod, and anybody may see. ready says why the
// data plane should get no traffic; nil: it should.
func Health(ready func() error, metrics http.Handler) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte("ok\n"))
	})
	mux.Handle("GET /metrics", metrics)
	return mux
}

// limits writes the state of buckets: ?policy=NAMESPACE/NAME&limit=NAME&key=VALUE..., all of them optional.
func limits(w http.ResponseWriter, r *http.Request, s Source) {
	q := r.URL.Query()
	report, err := s.Limits(r.Context(), limit.Query{Policy: q.Get("policy"), Limit: q.Get("limit"), Values: q["key"]})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, report)
}

// dump writes the configuration by key. Of a Secret, and of the key of a caller, it shows a hash of its own.
func dump(w http.ResponseWriter, s Source, salt []byte) {
	rs, eps := s.Received()
	var out struct {
		Resources []json.RawMessage `json:"resources"`
		Endpoints []json.RawMessage `json:"endpoints"`
	}
	for _, key := range slices.Sorted(maps.Keys(rs)) {
		out.Resources = append(out.Resources, encode(key, rs[key], salt))
	}
	for _, key := range slices.Sorted(maps.Keys(eps)) {
		out.Endpoints = append(out.Endpoints, message(eps[key]))
	}
	writeJSON(w, out)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.Encode(v)
}

func encode(key string, r *xdsv1.Resource, salt []byte) json.RawMessage {
	if s := r.GetSecret(); s != nil {
		b, _ := json.Marshal(map[string]any{"secret": map[string]string{"key": key, "hash": hash(s, salt)}})
		return b
	}
	if c := r.GetCaller(); c != nil {
		shown := proto.CloneOf(c)
		shown.KeySha256 = nil
		b, _ := json.Marshal(map[string]any{"caller": message(shown), "hash": hash(c, salt)})
		return b
	}
	return message(redact(r))
}

func message(m proto.Message) json.RawMessage {
	b, err := protojson.Marshal(m)
	if err != nil {
		b, _ = json.Marshal(err.Error())
	}
	return b
}

// hash tells versions of a secret apart without saying anything about it: the salt lasts as long as the process.
func hash(s proto.Message, salt []byte) string {
	b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(s)
	mac := hmac.New(sha256.New, salt)
	mac.Write(b)
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// redact hides the values of credentials that a route's filters set, and of all headers that a provider gets, in a copy: vendors
// and gateways in front of them have credentials in headers of any name.
func redact(r *xdsv1.Resource) *xdsv1.Resource {
	if len(r.GetProvider().GetHeaders()) > 0 {
		r = proto.CloneOf(r)
		for name := range r.GetProvider().Headers {
			r.GetProvider().Headers[name] = hidden
		}
	}
	if r.GetRoute() == nil {
		return r
	}
	r = proto.CloneOf(r)
	protorange.Range(r.ProtoReflect(), func(v protopath.Values) error {
		if m, ok := v.Index(-1).Value.Interface().(protoreflect.Message); ok {
			if h, ok := m.Interface().(*xdsv1.Header); ok && credential(h.Name) {
				h.Value = hidden
			}
		}
		return nil
	})
	return r
}

const hidden = "(hidden)"

// credential says whether a field usually holds one.
func credential(name string) bool {
	switch strings.ToLower(name) {
	case "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key", "x-goog-api-key":
		return true
	}
	return false
}
