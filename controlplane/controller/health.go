package controller

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/nantian-gw/nantian/controlplane/snapshot"
)

// Ready says why the replica cannot serve data planes; nil: it can. A replica that is ready stays so without an API server.
func (c *Controller) Ready() error {
	if err := c.source.Ready(); err != nil {
		return err
	}
	if c.latest.get() == nil {
		return errors.New("nothing has been translated yet")
	}
	return c.tls.Ready()
}

// Healthy says why the process should be started anew; nil: it should not.
func (c *Controller) Healthy() error {
	if c.beat.stuck() {
		return errors.New("translation has been running for more than a minute")
	}
	return nil
}

func page(check func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if err := check(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte("ok\n"))
	}
}

// serveHealth serves what kubelet and Prometheus ask.
func (c *Controller) serveHealth(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", page(c.Healthy))
	mux.HandleFunc("GET /readyz", page(c.Ready))
	mux.Handle("GET /metrics", promhttp.HandlerFor(c.metrics.registry, promhttp.HandlerOpts{}))
	return serve(ctx, c.o.Health, mux)
}

// serveAdmin serves what operators ask.
func (c *Controller) serveAdmin(ctx context.Context) error {
	if c.o.Admin == nil {
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /config_dump", c.dump)
	mux.HandleFunc("GET /data_planes", c.dataPlanes)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return serve(ctx, c.o.Admin, mux)
}

func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// dump writes what each group of data planes has; of Secrets their names.
func (c *Controller) dump(w http.ResponseWriter, _ *http.Request) {
	out := map[string]*snapshot.Dump{}
	if view := c.latest.get(); view != nil {
		for name, s := range view.Snapshots {
			d, err := snapshot.NewDump(s, nil)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			out[string(name)] = d
		}
	}
	encode(w, out)
}

// dataPlanes writes what the data planes of this replica answered.
func (c *Controller) dataPlanes(w http.ResponseWriter, _ *http.Request) { encode(w, c.acks.Groups()) }

func encode(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.Encode(v)
}
