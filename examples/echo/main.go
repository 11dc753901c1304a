// Command echo is the ordinary service behind the examples: it answers each request with what it saw of it, as JSON, and
// each message of a WebSocket and each datagram with the same.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:3000", "address to listen at")
	name := flag.String("name", "echo", "what the service calls itself")
	cert := flag.String("cert", "", "file with a certificate: serve TLS")
	key := flag.String("key", "", "file with its key")
	token := flag.String("token", "", "bearer token that requests need; who shows it is called alice")
	flag.Parse()
	log.Printf("%s listens at %s", *name, *listen)
	go datagrams(*listen)
	srv := &http.Server{Addr: *listen, Handler: guard(*token, service(*name)), ReadHeaderTimeout: 10 * time.Second}
	if *cert != "" {
		log.Fatal(srv.ListenAndServeTLS(*cert, *key))
	}
	log.Fatal(srv.ListenAndServe())
}

// guard wants a bearer token, as an authorization server does. With an empty one it does nothing.
func guard(token string, next http.Handler) http.Handler {
	if token == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "show a token", http.StatusUnauthorized)
			return
		}
		w.Header().Set("X-User", "alice")
		next.ServeHTTP(w, r)
	})
}

// seen is what the service saw of a request.
type seen struct {
	Service string      `json:"service"`
	Method  string      `json:"method"`
	Host    string      `json:"host"`
	Path    string      `json:"path"`
	Headers http.Header `json:"headers"`
}

// service answers with what it sees. ?status=503 sets the status, ?wait=2s waits before the answer.
func service(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "websocket" {
			echo(w, r)
			return
		}
		if !pause(r.Context(), r.FormValue("wait")) {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if status, err := strconv.Atoi(r.FormValue("status")); err == nil && status >= 200 && status < 600 {
			w.WriteHeader(status)
		}
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		e.Encode(seen{name, r.Method, r.Host, r.URL.RequestURI(), r.Header})
		log.Printf("%s: %s %s", name, r.Method, r.URL.RequestURI())
	})
}

// pause waits as long as text says, unless the client leaves.
func pause(ctx context.Context, text string) bool {
	d, err := time.ParseDuration(text)
	if err != nil {
		return true
	}
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// datagrams sends each datagram back.
func datagrams(address string) {
	c, err := net.ListenPacket("udp", address)
	if err != nil {
		log.Fatal(err)
	}
	buf := make([]byte, 64<<10)
	for {
		n, from, err := c.ReadFrom(buf)
		if err == nil {
			_, err = c.WriteTo(buf[:n], from)
		}
		if err != nil {
			log.Print(err)
		}
	}
}

// echo sends each message of a WebSocket back.
func echo(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		kind, message, err := c.Read(r.Context())
		if err != nil || c.Write(r.Context(), kind, message) != nil {
			return
		}
	}
}
