package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/test/rig"
)

const (
	hostA = "a.example.com"
	hostB = "b.example.com"
)

// secure adds HTTPS listeners for hostA and hostB to the entrance.
func secure(entrance string, port int) string {
	var b strings.Builder
	for name, host := range map[string]string{"a": hostA, "b": hostB} {
		fmt.Fprintf(&b, "\n  - {name: %s, protocol: HTTPS, port: %d, hostname: %s, tls: {certificateRefs: [{name: cert-%s}]}}", name, port, host, name)
	}
	at := strings.Index(entrance, "\n---")
	return entrance[:at] + b.String() + entrance[at:]
}

// secured is a world whose requests go to hostA over TLS.
func secured(t *testing.T, h2 bool, f files) (*world, *rig.Authority, int) {
	t.Helper()
	ca, port := rig.NewAuthority(t), rig.Port(t)
	w := start(t, func(w *world) rig.Files {
		files := f(w)
		files["gateway.yaml"] = secure(files["gateway.yaml"], port)
		files["a.yaml"], _ = ca.Secret("cert-a", hostA)
		files["b.yaml"], _ = ca.Secret("cert-b", hostB)
		return files
	})
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: ca.Pool}, ForceAttemptHTTP2: h2, DisableCompression: true, MaxIdleConnsPerHost: 100,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", port))
		},
	}
	if !h2 {
		tr.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	t.Cleanup(tr.CloseIdleConnections)
	w.http, w.url = &http.Client{Transport: tr}, fmt.Sprintf("https://%s:%d", hostA, port)
	return w, ca, port
}

// presented is the serial number of the certificate that a server shows for a name; 0: none.
func presented(port int, name string, ca *rig.Authority, protocols ...string) (int64, string) {
	c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{RootCAs: ca.Pool, ServerName: name, NextProtos: protocols})
	if err != nil {
		return 0, err.Error()
	}
	defer c.Close()
	s := c.ConnectionState()
	return s.PeerCertificates[0].SerialNumber.Int64(), s.NegotiatedProtocol
}

// TestCertificates: they are chosen by server name, and an edit of the Secret replaces them without touching a stream.
func TestCertificates(t *testing.T) {
	t.Parallel()
	w, ca, port := secured(t, false, allSchemas)
	a, _ := presented(port, hostA, ca)
	b, protocol := presented(port, hostB, ca, "h2", "http/1.1")
	if a != 2 || b != 3 || protocol != "h2" {
		t.Errorf("serial numbers %d and %d, want 2 and 3; protocol %q", a, b, protocol)
	}
	if serial, why := presented(port, "c.example.com", ca); serial != 0 {
		t.Errorf("a certificate for a name without a listener: %d", serial)
	} else {
		t.Log(why)
	}
	d := dialects[0]
	_, stream := w.begin(t.Context(), ask{dialect: d, model: "sim-openai", text: "Go on [[simulate: tokens=60 delay=20ms]]"})
	secret, renewed := ca.Secret("cert-a", hostA)
	w.Put("a.yaml", secret)
	rig.Eventually(t, rig.Patience, "the new certificate is shown", func() bool {
		serial, _ := presented(port, hostA, ca)
		return serial == renewed
	})
	rest, err := io.ReadAll(stream)
	if err != nil || !strings.Contains(string(rest), d.end) {
		t.Errorf("the stream ended with %v:\n%s", err, cut(string(rest)))
	}
	w.chat(ask{dialect: d, model: "sim-openai", text: "Hi"}).want(t, 200)
}

// TestHTTP2: calls and streams over HTTP/2 with TLS are those of HTTP/1.1.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	w, _, _ := secured(t, true, allSchemas)
	for _, d := range dialects {
		for _, s := range rig.Schemas {
			t.Run(d.name+" "+s.Name, func(t *testing.T) {
				t.Parallel()
				pair(t, w, d, "sim-"+s.Name)
			})
		}
	}
	resp, _ := w.begin(t.Context(), ask{dialect: dialects[0], model: "sim-openai", text: "Hi"})
	if resp.ProtoMajor != 2 {
		t.Errorf("answered over %s", resp.Proto)
	}
	io.Copy(io.Discard, resp.Body)
	if e := w.Logged(`"requested_model":"sim-openai"`); e.Protocol != "HTTP/2" {
		t.Errorf("logged %+v", e)
	}
}
