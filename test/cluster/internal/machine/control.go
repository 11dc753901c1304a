package machine

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/nantian-gw/nantian/test/cluster/internal/node"
	"github.com/nantian-gw/nantian/test/cluster/internal/plane"
)

// serveControl serves what tests do to a running cluster from outside of its API, on a socket in the cluster's directory.
func serveControl(ctx context.Context, socket string, p *plane.Plane, n *node.Node) error {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	mux := http.NewServeMux()
	handle := func(pattern string, f func(r *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := f(r); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	handle("POST /apiserver/stop", func(*http.Request) error { p.StopAPIServer(); return nil })
	handle("POST /apiserver/start", func(r *http.Request) error { return p.StartAPIServer(r.Context()) })
	handle("PUT /images", func(r *http.Request) error {
		var table map[string]string
		if err := json.NewDecoder(r.Body).Decode(&table); err != nil {
			return err
		}
		n.SetImages(table)
		return nil
	})
	handle("POST /signal/{namespace}/{pod}", func(r *http.Request) error {
		sig, err := strconv.Atoi(r.URL.Query().Get("signal"))
		if err != nil {
			return fmt.Errorf("signal: expected a number: %w", err)
		}
		return n.Signal(r.PathValue("namespace"), r.PathValue("pod"), r.URL.Query().Get("container"), syscall.Signal(sig))
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	context.AfterFunc(ctx, func() { _ = server.Close() })
	return nil
}
