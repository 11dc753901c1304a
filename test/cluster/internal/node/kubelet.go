package node

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/nantian-gw/nantian/test/cluster/internal/logs"
	"github.com/nantian-gw/nantian/test/cluster/internal/plan"
)

// kubeletServer is the part of the kubelet's API that reads logs: what "kubectl logs" asks the API server for.
func (n *Node) kubeletServer(o Options) (*http.Server, error) {
	config, err := tlsConfig(o)
	if err != nil {
		return nil, fmt.Errorf("kubelet API: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", n.serveLogs)
	addr := net.JoinHostPort(n.network.Node().String(), strconv.Itoa(plan.KubeletPort))
	return &http.Server{Addr: addr, Handler: mux, TLSConfig: config, ReadHeaderTimeout: time.Minute}, nil
}

func (n *Node) serveLogs(w http.ResponseWriter, r *http.Request) {
	q, err := query(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	log := n.logOf(r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container"), r.URL.Query().Get("previous") == "true")
	if log == nil {
		http.Error(w, fmt.Sprintf("container %q in pod %q has no such log", r.PathValue("container"), r.PathValue("pod")), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	flush := http.NewResponseController(w).Flush
	_ = log.Read(r.Context(), q, w, func() { _ = flush() }) // an error is the reader's end
}

// logOf is the log of a container's present or last run, or of the one before.
func (n *Node) logOf(namespace, pod, container string, previous bool) *logs.Log {
	x := n.find(namespace, pod)
	if x == nil {
		return nil
	}
	for _, c := range x.all() {
		if c.spec.Name != container {
			continue
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if previous {
			return c.old
		}
		return c.log
	}
	return nil
}

// query reads the parameters of PodLogOptions.
func query(r *http.Request) (logs.Query, error) {
	v := r.URL.Query()
	q := logs.Query{Tail: -1, Timestamps: v.Get("timestamps") == "true", Follow: v.Get("follow") == "true"}
	var err error
	if s := v.Get("sinceTime"); s != "" {
		if q.Since, err = time.Parse(time.RFC3339, s); err != nil {
			return q, fmt.Errorf("sinceTime %q: expected RFC 3339", s)
		}
	}
	if s := v.Get("sinceSeconds"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			return q, fmt.Errorf("sinceSeconds %q: expected a number", s)
		}
		q.Since = time.Now().Add(-time.Duration(n) * time.Second)
	}
	for name, to := range map[string]*int{"tailLines": &q.Tail, "limitBytes": &q.Limit} {
		if s := v.Get(name); s != "" {
			if *to, err = strconv.Atoi(s); err != nil {
				return q, fmt.Errorf("%s %q: expected a number", name, s)
			}
		}
	}
	return q, nil
}
