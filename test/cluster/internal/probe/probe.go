// Package probe checks containers as a kubelet does: what a probe asks, how often, and how many answers in a row count.
package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// Target is the container that is asked.
type Target struct {
	// PodIP is where probes go that name no host.
	PodIP string
	Ports []corev1.ContainerPort
	// Exec runs a command in the container; an error says that it did not succeed.
	Exec func(ctx context.Context, command []string) error
}

// maxBody bounds what is read of an answer.
const maxBody = 10 << 10

// Ask asks once. The context carries the time limit.
func (t *Target) Ask(ctx context.Context, h *corev1.ProbeHandler) error {
	switch {
	case h.HTTPGet != nil:
		return t.httpGet(ctx, h.HTTPGet)
	case h.TCPSocket != nil:
		return t.tcp(ctx, h.TCPSocket)
	case h.GRPC != nil:
		return t.grpc(ctx, h.GRPC)
	case h.Exec != nil:
		return t.Exec(ctx, h.Exec.Command)
	}
	return errors.New("expected httpGet, tcpSocket, grpc or exec")
}

// httpGet asks by HTTP: 200 to 399 is a success. Certificates are not verified, redirects are followed on the same host only.
func (t *Target) httpGet(ctx context.Context, g *corev1.HTTPGetAction) error {
	req, err := t.request(ctx, g)
	if err != nil {
		return err
	}
	client := &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Proxy: nil},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if r.URL.Hostname() != via[0].URL.Hostname() || len(via) >= 10 {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, maxBody)
	if res.StatusCode < 200 || res.StatusCode >= 400 {
		return fmt.Errorf("HTTP probe of %s: status %d", req.URL, res.StatusCode)
	}
	return nil
}

func (t *Target) request(ctx context.Context, g *corev1.HTTPGetAction) (*http.Request, error) {
	addr, err := t.address(g.Host, g.Port)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(g.Path) // a path with a query
	if err != nil {
		return nil, err
	}
	u.Scheme, u.Host = "http", addr
	if g.Scheme == corev1.URISchemeHTTPS {
		u.Scheme = "https"
	}
	if u.Path == "" {
		u.Path = "/"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "kube-probe/1.37")
	for _, h := range g.HTTPHeaders {
		if http.CanonicalHeaderKey(h.Name) == "Host" {
			req.Host = h.Value
		}
		req.Header.Set(h.Name, h.Value)
	}
	return req, nil
}

func (t *Target) tcp(ctx context.Context, a *corev1.TCPSocketAction) error {
	addr, err := t.address(a.Host, a.Port)
	if err != nil {
		return err
	}
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}

func (t *Target) grpc(ctx context.Context, a *corev1.GRPCAction) error {
	addr := net.JoinHostPort(t.PodIP, strconv.Itoa(int(a.Port)))
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUserAgent("kube-probe/1.37"))
	if err != nil {
		return err
	}
	defer conn.Close()
	req := &grpc_health_v1.HealthCheckRequest{}
	if a.Service != nil {
		req.Service = *a.Service
	}
	res, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, req)
	if err != nil {
		return err
	}
	if res.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("gRPC probe of %s: %s", addr, res.GetStatus())
	}
	return nil
}

func (t *Target) address(host string, port intstr.IntOrString) (string, error) {
	if host == "" {
		host = t.PodIP
	}
	n := port.IntValue()
	if port.Type == intstr.String {
		for _, p := range t.Ports {
			if p.Name == port.StrVal {
				n = int(p.ContainerPort)
			}
		}
	}
	if n <= 0 || n > 65535 {
		return "", fmt.Errorf("port %q: expected a number, or the name of a port of the container", port.String())
	}
	return net.JoinHostPort(host, strconv.Itoa(n)), nil
}

// Watch asks until the context ends. It reports the first result that enough answers in a row agree on, and each change of it. The
// error is why the last one failed.
func Watch(ctx context.Context, p *corev1.Probe, t *Target, report func(ok bool, why error)) {
	if !pause(ctx, time.Duration(p.InitialDelaySeconds)*time.Second) {
		return
	}
	var reported, result, last bool
	for row := 0; ; {
		err := once(ctx, p, t)
		if ctx.Err() != nil {
			return
		}
		if ok := err == nil; ok != last {
			last, row = ok, 0
		}
		if row++; row >= threshold(p, last) && (!reported || last != result) {
			reported, result = true, last
			report(result, err)
		}
		if !pause(ctx, period(p.PeriodSeconds, 10)) {
			return
		}
	}
}

func once(ctx context.Context, p *corev1.Probe, t *Target) error {
	ctx, cancel := context.WithTimeout(ctx, period(p.TimeoutSeconds, 1))
	defer cancel()
	return t.Ask(ctx, &p.ProbeHandler)
}

func threshold(p *corev1.Probe, ok bool) int {
	if ok {
		return max(1, int(p.SuccessThreshold))
	}
	if p.FailureThreshold == 0 {
		return 3
	}
	return int(p.FailureThreshold)
}

func period(seconds int32, def time.Duration) time.Duration {
	if seconds <= 0 {
		return def * time.Second
	}
	return time.Duration(seconds) * time.Second
}

// pause waits; it is false if the context ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
