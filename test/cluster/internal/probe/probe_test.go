package probe

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func port(t *testing.T, addr net.Addr) int {
	t.Helper()
	return int(netip.MustParseAddrPort(addr.String()).Port())
}

// check wants an error that has the text, or none if that is empty.
func check(t *testing.T, tg *Target, h corev1.ProbeHandler, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := tg.Ask(ctx, &h)
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%+v: got %v, want %q", h, err, want)
	}
}

func TestHTTP(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/ok" && r.URL.RawQuery == "a=b" && r.Host == "named.example.com" && r.Header.Get("X-Y") == "z" && r.UserAgent() == "kube-probe/1.37":
		case r.URL.Path == "/away":
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		case r.URL.Path == "/here":
			http.Redirect(w, r, "/bad", http.StatusFound)
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	plain, secure := httptest.NewServer(h), httptest.NewTLSServer(h)
	defer plain.Close()
	defer secure.Close()
	headers := []corev1.HTTPHeader{{Name: "Host", Value: "named.example.com"}, {Name: "X-Y", Value: "z"}}
	f := func(s *httptest.Server, scheme corev1.URIScheme, path, want string) {
		t.Helper()
		tg := &Target{PodIP: "127.0.0.1", Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: int32(port(t, s.Listener.Addr()))}}}
		get := &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("web"), Scheme: scheme, HTTPHeaders: headers}
		check(t, tg, corev1.ProbeHandler{HTTPGet: get}, want)
	}
	f(plain, "", "/ok?a=b", "")
	f(secure, corev1.URISchemeHTTPS, "/ok?a=b", "")
	f(plain, corev1.URISchemeHTTP, "/ok", "status 503")
	f(plain, "", "/away", "")
	f(plain, "", "/here", "status 503")
	none := &corev1.HTTPGetAction{Port: intstr.FromString("other")}
	check(t, &Target{PodIP: "127.0.0.1"}, corev1.ProbeHandler{HTTPGet: none}, `port "other"`)
}

func TestTCPAndExec(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt(port(t, l.Addr()))}}
	check(t, &Target{PodIP: "127.0.0.1"}, h, "")
	l.Close()
	check(t, &Target{PodIP: "127.0.0.1"}, h, "refused")
	tg := &Target{Exec: func(_ context.Context, command []string) error { return errors.New(strings.Join(command, "+")) }}
	check(t, tg, corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"a", "b"}}}, "a+b")
	check(t, tg, corev1.ProbeHandler{}, "expected httpGet")
}

func TestGRPC(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	state := health.NewServer()
	s := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(s, state)
	go func() { _ = s.Serve(l) }()
	defer s.Stop()
	name := "part"
	h := corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: int32(port(t, l.Addr())), Service: &name}}
	tg := &Target{PodIP: "127.0.0.1"}
	check(t, tg, h, "NotFound")
	state.SetServingStatus(name, grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	check(t, tg, h, "NOT_SERVING")
	state.SetServingStatus(name, grpc_health_v1.HealthCheckResponse_SERVING)
	check(t, tg, h, "")
}

func TestWatchCountsAnswersInARow(t *testing.T) {
	answers := []bool{true, false, true, false, false, false, false, true, true}
	i := 0
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tg := &Target{Exec: func(context.Context, []string) error {
		if i == len(answers) {
			cancel()
			return nil
		}
		if i++; answers[i-1] {
			return nil
		}
		return errors.New("no")
	}}
	p := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{}}, PeriodSeconds: 1, SuccessThreshold: 2, FailureThreshold: 3}
	var got []bool
	var at []int
	Watch(ctx, p, tg, func(ok bool, _ error) { got, at = append(got, ok), append(at, i) })
	if len(got) != 2 || got[0] || !got[1] || at[0] != 6 || at[1] != 9 {
		t.Errorf("reported %v after %v answers", got, at)
	}
}
