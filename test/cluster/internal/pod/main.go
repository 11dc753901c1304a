// Command pod is what the pods of the tests of clusters run: an HTTP server that says what it sees and does what it is told.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "exit" { // for init containers, pods that end, and exec probes
		fmt.Println("says", strings.Join(os.Args[2:], " "))
		if len(os.Args) > 2 && os.Args[2] == "failed" {
			os.Exit(3)
		}
		return
	}
	if len(os.Args) > 2 && os.Args[1] == "exists" {
		if _, err := os.Stat(os.Args[2]); err != nil {
			log.Fatal(err)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log.SetFlags(0)
	log.Print("starts")
	s := &server{}
	s.ready.Store(true)
	s.alive.Store(true)
	port := "8080"
	if p := os.Getenv("PORT"); p != "" {
		port = p
	}
	go serveUDP(":5353")
	go func() { log.Fatal(http.ListenAndServe(":"+port, s.handler())) }()
	<-ctx.Done()
	log.Print("told to end")
	if os.Getenv("STUBBORN") != "" {
		select {}
	}
}

type server struct {
	ready, alive atomic.Bool
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	text := func(pattern string, f func(r *http.Request) (string, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			out, err := f(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			fmt.Fprint(w, out)
		})
	}
	text("/", func(r *http.Request) (string, error) { return os.Hostname() })
	text("/from", func(r *http.Request) (string, error) { return r.RemoteAddr, nil })
	text("/env", func(r *http.Request) (string, error) { return os.Getenv(r.FormValue("name")), nil })
	text("/id", func(*http.Request) (string, error) {
		return fmt.Sprint(os.Getuid(), " ", os.Getgid(), " ", os.Getpid()), nil
	})
	text("/file", func(r *http.Request) (string, error) {
		b, err := os.ReadFile(r.FormValue("path"))
		return string(b), err
	})
	text("/write", func(r *http.Request) (string, error) {
		return "", os.WriteFile(r.FormValue("path"), []byte("x"), 0o644)
	})
	text("/log", func(r *http.Request) (string, error) { log.Print(r.FormValue("text")); return "", nil })
	text("/get", func(r *http.Request) (string, error) { return get(r.Context(), r.FormValue("url")) })
	text("/lookup", func(r *http.Request) (string, error) {
		list, err := net.DefaultResolver.LookupHost(r.Context(), r.FormValue("name"))
		return strings.Join(list, " "), err
	})
	text("/secrets", func(r *http.Request) (string, error) { return secrets(r.Context(), r.FormValue("namespace")) })
	text("/crash", func(*http.Request) (string, error) { os.Exit(7); return "", nil })
	for name, flag := range map[string]*atomic.Bool{"ready": &s.ready, "alive": &s.alive} {
		text("POST /"+name, func(r *http.Request) (string, error) { flag.Store(r.FormValue("to") == "true"); return "", nil })
		text("GET /"+name, func(*http.Request) (string, error) {
			if !flag.Load() {
				return "", fmt.Errorf("not %s", name)
			}
			return "ok", nil
		})
	}
	return mux
}

func get(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

// secrets lists the names of Secrets with the pod's own service account.
func secrets(ctx context.Context, namespace string) (string, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return "", err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return "", err
	}
	list, err := client.CoreV1().Secrets(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	var names []string
	for _, s := range list.Items {
		names = append(names, s.Name)
	}
	return strings.Join(names, " "), nil
}

// serveUDP answers each packet with the host's name.
func serveUDP(addr string) {
	c, err := net.ListenPacket("udp", addr)
	if err != nil {
		log.Print(err)
		return
	}
	name, _ := os.Hostname()
	buf := make([]byte, 1500)
	for {
		_, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		_, _ = c.WriteTo([]byte(name), from)
	}
}
