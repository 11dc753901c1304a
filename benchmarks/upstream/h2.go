package upstream

import (
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// ServeH2 answers calls over HTTP/2 without TLS until ln is closed: bodies are echoed, with the trailer that makes them answers of gRPC. A
// path that ends in a plan ("/bench.Echo/stream-50-10ms") gets a stream of stamped messages.
func ServeH2(ln net.Listener) error {
	s := &http.Server{Handler: http.HandlerFunc(call), Protocols: new(http.Protocols), HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 1000}}
	s.Protocols.SetUnencryptedHTTP2(true)
	return s.Serve(ln)
}

func call(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Content-Type"] = r.Header["Content-Type"]
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	if strings.HasPrefix(name, "stream-") {
		p, err := planOf([]byte(`"model":"` + name + `"`))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		messages(w, p)
	} else {
		w.Write(body)
	}
	h[http.TrailerPrefix+"Grpc-Status"] = []string{"0"}
}

// messages writes a stream of messages of gRPC, each of which is a stamp.
func messages(w http.ResponseWriter, p plan) {
	flush := http.NewResponseController(w)
	start := time.Now()
	for i := range p.events {
		if p.pace > 0 {
			time.Sleep(time.Until(start.Add(time.Duration(i) * p.pace)))
		}
		b := append([]byte{0, 0, 0, 0, StampLen}, placeholder...)
		stamp(b[5:], time.Now())
		if _, err := w.Write(b); err != nil || flush.Flush() != nil {
			return
		}
	}
}
