package features

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	pb "sigs.k8s.io/gateway-api/conformance/echo-basic/grpcechoserver"
	"sigs.k8s.io/gateway-api/conformance/utils/roundtripper"
)

// Ports of an echo server, those of echo-basic.
const (
	httpPort  = 3000 // HTTP/1.1 and WebSocket, or gRPC
	h2cPort   = 3001
	httpsPort = 8443
)

// echo is one echo server. It answers with what it was asked, as JSON.
type echo struct {
	namespace, pod, service, address string
	certificate                      *tls.Certificate // nil: no HTTPS

	mu       sync.Mutex
	log      []string
	attempts map[string]int // by uuid, see retry
	close    []func()
}

// start opens the ports for HTTP.
func (e *echo) start() error {
	if err := e.serve(httpPort, e.plain); err != nil {
		return err
	}
	if err := e.serve(h2cPort, e.h2c); err != nil {
		return err
	}
	if e.certificate != nil {
		return e.serve(httpsPort, e.https)
	}
	return nil
}

// serve runs one server on one port.
func (e *echo) serve(port int, server func() (serve func(net.Listener) error, stop func())) error {
	l, err := net.Listen("tcp", net.JoinHostPort(e.address, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	run, stop := server()
	e.close = append(e.close, stop)
	go run(l)
	return nil
}

func (e *echo) stop() {
	for _, f := range e.close {
		f()
	}
}

func (e *echo) plain() (func(net.Listener) error, func()) {
	s := &http.Server{Handler: e.mux()}
	return s.Serve, func() { s.Close() }
}

func (e *echo) h2c() (func(net.Listener) error, func()) {
	s := &http.Server{Handler: http.HandlerFunc(e.answer), Protocols: new(http.Protocols)}
	s.Protocols.SetUnencryptedHTTP2(true)
	return s.Serve, func() { s.Close() }
}

func (e *echo) https() (func(net.Listener) error, func()) {
	s := &http.Server{Handler: e.mux(), TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{*e.certificate}, ClientAuth: tls.RequestClientCert,
	}}
	return func(l net.Listener) error { return s.ServeTLS(l, "", "") }, func() { s.Close() }
}

func (e *echo) mux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		code, err := strconv.Atoi(r.PathValue("code"))
		if err != nil {
			code = http.StatusBadRequest
		}
		w.WriteHeader(code)
	})
	mux.HandleFunc("/retry/", e.retry)
	mux.Handle("/ws", websocket.Handler(func(ws *websocket.Conn) { io.Copy(ws, ws) }))
	mux.HandleFunc("/", e.answer)
	return mux
}

// retry fails the first requests with a uuid, as many as succeedAfter says: with the status responseCode, after
// delayRetry, or by resetting the connection.
func (e *echo) retry(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	after, err := strconv.Atoi(q.Get("succeedAfter"))
	if err != nil || q.Get("uuid") == "" {
		http.Error(w, "uuid and succeedAfter are required", http.StatusBadRequest)
		return
	}
	if !e.fails(q.Get("uuid"), after) {
		e.answer(w, r)
		return
	}
	pause(q.Get("delayRetry"))
	if code, err := strconv.Atoi(q.Get("responseCode")); err == nil {
		w.WriteHeader(code)
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

func (e *echo) fails(uuid string, after int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.attempts == nil {
		e.attempts = map[string]int{}
	}
	if e.attempts[uuid] >= after {
		return false
	}
	e.attempts[uuid]++
	return true
}

func pause(text string) {
	if d, err := time.ParseDuration(text); err == nil {
		time.Sleep(d)
	}
}

// answer echoes.
func (e *echo) answer(w http.ResponseWriter, r *http.Request) {
	e.note(r.RequestURI)
	pause(r.URL.Query().Get("delay"))
	for _, pairs := range r.Header["X-Echo-Set-Header"] {
		for pair := range strings.SplitSeq(pairs, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), ":")
			if have := w.Header()[name]; len(have) > 0 {
				value = have[0] + "," + strings.TrimSpace(value)
			}
			w.Header()[name] = []string{value} // with the case that was asked for
		}
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(roundtripper.CapturedRequest{
		Path: r.RequestURI, Host: r.Host, Method: r.Method, Protocol: r.Proto, Headers: r.Header,
		HTTPPort: strconv.Itoa(httpPort), Namespace: e.namespace, Pod: e.pod, TLS: captured(r.TLS),
	})
}

func captured(s *tls.ConnectionState) roundtripper.TLS {
	if s == nil {
		return roundtripper.TLS{}
	}
	out := roundtripper.TLS{Version: tls.VersionName(s.Version), ServerName: s.ServerName, NegotiatedProtocol: s.NegotiatedProtocol}
	for _, c := range s.PeerCertificates {
		out.PeerCertificates = append(out.PeerCertificates, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})))
	}
	return out
}

// note writes a line of the log, in the words that the suite looks for.
func (e *echo) note(path string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.log = append(e.log, "Echoing back request made to "+path+" to client\n")
}

// lines is the log.
func (e *echo) lines() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.log, "")
}

func (e *echo) grpc() (func(net.Listener) error, func()) {
	s := grpc.NewServer()
	pb.RegisterGrpcEchoServer(s, &grpcEcho{echo: e})
	healthv1.RegisterHealthServer(s, health.NewServer())
	reflection.Register(s)
	return s.Serve, s.Stop
}

// grpcEcho is the echo server for gRPC.
type grpcEcho struct {
	pb.UnimplementedGrpcEchoServer
	echo *echo
}

func (g *grpcEcho) Echo(ctx context.Context, _ *pb.EchoRequest) (*pb.EchoResponse, error) {
	return g.answer(ctx, "Echo"), nil
}

func (g *grpcEcho) EchoTwo(ctx context.Context, _ *pb.EchoRequest) (*pb.EchoResponse, error) {
	return g.answer(ctx, "EchoTwo"), nil
}

func (g *grpcEcho) answer(ctx context.Context, method string) *pb.EchoResponse {
	a := &pb.Assertions{
		FullyQualifiedMethod: "/" + pb.GrpcEcho_ServiceDesc.ServiceName + "/" + method,
		Context:              &pb.Context{Namespace: g.echo.namespace, Pod: g.echo.pod},
	}
	in, _ := metadata.FromIncomingContext(ctx)
	for name, values := range in {
		for _, v := range values {
			a.Headers = append(a.Headers, &pb.Header{Key: name, Value: v})
		}
	}
	a.Authority = strings.Join(in[":authority"], ",")
	return &pb.EchoResponse{Assertions: a}
}
