//go:build nginx

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/test/rig"
)

// beside is the gateway and nginx in front of one origin, configured to do the same.
type beside struct {
	t              *testing.T
	gateway, nginx string // addresses
}

// origin tells what it was asked, and answers /hop with fields that end at the next hop.
func origin(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/hop" {
			for name, value := range map[string]string{"Keep-Alive": "timeout=9", "X-End": "kept", "Proxy-Authenticate": "Basic", "Server": "origin"} {
				w.Header().Set(name, value)
			}
		}
		json.NewEncoder(w).Encode(saw{Line: r.Method + " " + r.RequestURI, Host: r.Host, Body: string(body), Fields: r.Header, Chunked: len(r.TransferEncoding) > 0})
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// saw is what the origin saw of a request.
type saw struct {
	Line, Host, Body string
	Fields           http.Header
	Chunked          bool
}

func startBeside(t *testing.T) *beside {
	to := origin(t)
	b := &beside{t: t, gateway: fmt.Sprintf("127.0.0.1:%d", rig.Port(t)), nginx: fmt.Sprintf("127.0.0.1:%d", rig.Port(t))}
	_, port, _ := net.SplitHostPort(to)
	_, own, _ := net.SplitHostPort(b.gateway)
	rig.Start(t, rig.Files{"gateway.yaml": fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec: {gatewayClassName: nantian, listeners: [{name: http, protocol: HTTP, port: %s}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{name: g}]
  rules:
  - matches: [{path: {value: /moved}}]
    filters: [{type: RequestRedirect, requestRedirect: {scheme: https, hostname: other.example.com, statusCode: 301}}]
  - matches: [{path: {type: Exact, value: /gone}}]
    filters: [{type: RequestRedirect, requestRedirect: {hostname: other.example.com, port: 8081, path: {type: ReplaceFullPath, replaceFullPath: /new}, statusCode: 302}}]
  - matches: [{path: {value: /old}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}]
    backendRefs: [{name: origin, port: 80}]
  - matches: [{path: {value: /host}}]
    filters: [{type: URLRewrite, urlRewrite: {hostname: inner.example.com}}]
    backendRefs: [{name: origin, port: 80}]
  - backendRefs: [{name: origin, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: origin}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: origin, labels: {kubernetes.io/service-name: origin}}
addressType: IPv4
ports: [{name: http, port: %s}]
endpoints: [{addresses: [127.0.0.1]}]
`, own, port)})
	b.startNginx(to)
	return b
}

// startNginx starts an nginx that does the same.
func (b *beside) startNginx(to string) {
	b.t.Helper()
	path, err := exec.LookPath("nginx")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			b.t.Fatal("nginx is needed (make deps installs it): ", err)
		}
	}
	dir := b.t.TempDir()
	conf := fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events {}
http {
  access_log off; client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  server {
    listen %[2]s;
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host; merge_slashes off;
    location = /moved { return 301 https://other.example.com$request_uri; }
    location /moved/ { return 301 https://other.example.com$request_uri; }
    location = /gone { return 302 http://other.example.com:8081/new$is_args$args; }
    location = /old { rewrite ^ /new break; proxy_pass http://%[3]s; }
    location /old/ { proxy_pass http://%[3]s/new/; }
    location = /host { proxy_set_header Host inner.example.com; proxy_pass http://%[3]s; }
    location /host/ { proxy_set_header Host inner.example.com; proxy_pass http://%[3]s; }
    location / { proxy_pass http://%[3]s; }
  }
}
`, dir, b.nginx, to)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, "-p", dir, "-c", file)
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		cancel()
		cmd.Wait()
	})
	rig.Eventually(b.t, rig.Patience, "nginx listens", func() bool {
		c, err := net.DialTimeout("tcp", b.nginx, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// answer is what one of the two made of a request.
type answer struct {
	status   int
	location string
	fields   http.Header
	saw      saw
}

func (b *beside) ask(address, request string) answer {
	b.t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	io.WriteString(c, request)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		b.t.Fatalf("%q: %v", request, err)
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, location: resp.Header.Get("Location"), fields: resp.Header}
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode == 200 {
		if err := json.Unmarshal(body, &a.saw); err != nil {
			b.t.Fatalf("%q: %q, %v", request, body, err)
		}
	}
	return a
}

// head is a request with a Host.
func head(line string, fields ...string) string {
	return line + " HTTP/1.1\r\nHost: web.example.com\r\n" + strings.Join(append(fields, "", ""), "\r\n")
}

func TestRedirectsBesideNginx(t *testing.T) {
	b := startBeside(t)
	for _, target := range []string{"/moved", "/moved/a/b", "/moved?a=b&c", "/moved/a%20b%2Fc?x=%41", "/gone", "/moved/", "/moved/%C3%A9"} {
		request := head("GET " + target)
		own, theirs := b.ask(b.gateway, request), b.ask(b.nginx, request)
		if own.status != theirs.status || own.location != theirs.location {
			t.Errorf("%s: %d %s, nginx %d %s", target, own.status, own.location, theirs.status, theirs.location)
		}
	}
}

func TestRewritesBesideNginx(t *testing.T) {
	b := startBeside(t)
	for _, line := range []string{"GET /old", "GET /old/", "GET /old/a/b?x=y", "POST /old/a", "GET /older", "GET /host", "GET /host/a?b", "GET /", "GET /a?b=c&d=%20", "OPTIONS /a", "DELETE /a"} {
		request := head(line)
		own, theirs := b.ask(b.gateway, request), b.ask(b.nginx, request)
		if own.saw.Line != theirs.saw.Line || own.saw.Host != theirs.saw.Host {
			t.Errorf("%s: the origin saw %q of %s, behind nginx %q of %s", line, own.saw.Line, own.saw.Host, theirs.saw.Line, theirs.saw.Host)
		}
	}
}

// added are what only the gateway adds, ended what it ends and nginx passes on though it belongs to one hop
// (RFC 9110, section 7.6.1: fields that Connection names, and those that are known for it).
var (
	added = []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}
	ended = []string{"Keep-Alive", "Proxy-Connection", "Te", "X-Hop", "Proxy-Authenticate", "Proxy-Authorization", "Trailer"}
)

// framing is each hop's own: nginx reads a body in chunks whole.
const framing = "Content-Length"

// fieldsBut are the fields but those of a list.
func fieldsBut(h http.Header, leave []string) http.Header {
	h = maps.Clone(h)
	maps.DeleteFunc(h, func(name string, _ []string) bool { return slices.Contains(leave, name) })
	return h
}

func TestFieldsBesideNginx(t *testing.T) {
	b := startBeside(t)
	f := func(name, request string) {
		t.Helper()
		own, theirs := b.ask(b.gateway, request), b.ask(b.nginx, request)
		seen, behind := fieldsBut(own.saw.Fields, append(added, framing)), fieldsBut(theirs.saw.Fields, append(ended, framing))
		if fmt.Sprint(seen) != fmt.Sprint(behind) || own.saw.Body != theirs.saw.Body {
			t.Errorf("%s: the origin saw %v %q, behind nginx %v %q", name, seen, own.saw.Body, behind, theirs.saw.Body)
		}
		for _, gone := range ended {
			if own.saw.Fields[gone] != nil {
				t.Errorf("%s: %s went on to the origin", name, gone)
			}
		}
		leave := append(slices.Clone(ended), "Server", "Date", "Connection", framing)
		if back, through := fieldsBut(own.fields, leave), fieldsBut(theirs.fields, leave); fmt.Sprint(back) != fmt.Sprint(through) {
			t.Errorf("%s: the client got %v, of nginx %v", name, back, through)
		}
	}
	f("none", head("GET /"))
	f("several of a name", head("GET /", "X-A: 1", "X-A: 2", "Cookie: a=b", "Accept: */*", "User-Agent: me"))
	f("hop by hop", head("GET /", "Connection: close, X-Hop", "X-Hop: 1", "Keep-Alive: 5", "Proxy-Connection: close", "X-End: 2"))
	f("of the response", head("GET /hop"))
	f("a body", head("POST /", "Content-Length: 5", "Content-Type: text/plain")+"hello")
	f("a body in chunks", head("POST /", "Transfer-Encoding: chunked")+"5\r\nhello\r\n0\r\n\r\n")
	f("conditional", head("GET /", `If-None-Match: "x"`, "Range: bytes=0-1", "Accept-Encoding: gzip"))
}
