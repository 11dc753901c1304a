package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/nantian-gw/nantian/gateway/config"
)

// rpc is a server whose one method of every service is a stream both ways: it answers each message with its name, the method
// and the message. "!text" ends the call with an error, "?" waits for the end of the call.
func rpc(t *testing.T, name string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(stream)
		in, _ := metadata.FromIncomingContext(stream.Context())
		stream.SetHeader(metadata.Pairs("x-head", strings.Join(in["x-ask"], ",")))
		stream.SetTrailer(metadata.Pairs("x-tail", "end", "x-tail-bin", "\x00\xff"))
		for {
			var m wrapperspb.StringValue
			err := stream.RecvMsg(&m)
			switch {
			case errors.Is(err, io.EOF):
				return nil
			case err != nil:
				return err
			case m.Value == "?":
				<-stream.Context().Done()
				return stream.Context().Err()
			case strings.HasPrefix(m.Value, "!"):
				return status.Error(codes.ResourceExhausted, m.Value[1:])
			}
			if err := stream.SendMsg(wrapperspb.String(name + method + " " + m.Value)); err != nil {
				return err
			}
		}
	}))
	go s.Serve(ln)
	t.Cleanup(s.Stop)
	return ln.Addr().String()
}

// startGRPC serves a.S/One by the first server, headers x-to: two by the second, and some that fail.
func startGRPC(t *testing.T) *grpc.ClientConn {
	one, two := rpc(t, "one"), rpc(t, "two")
	g := startWith(t, builder{}, func(port int) config.Update {
		return texts(t, port, map[string]string{"backend/a/one/1": one, "backend/a/two/1": two},
			`listener{key:"listener/a/gw/http" gateway:"a/gw" name:"http" port:%d protocol:HTTP}`,
			`backend{key:"backend/a/one/1" protocol:HTTP1 endpoints{}}`, `backend{key:"backend/a/two/1" protocol:H2C endpoints{}}`, `backend{key:"backend/a/none/1" protocol:H2C endpoints{}}`,
			`route{key:"route/grpc/a/r" namespace:"a" name:"r" parents{listener:"listener/a/gw/http"} grpc{
				rules{matches{service:"a.S" method:"One"} backends{backend:"backend/a/one/1" weight:1}}
				rules{matches{service:"a.S" headers{name:"x-to" value:"two"}} backends{backend:"backend/a/two/1" weight:1}}
				rules{matches{service:"a.S" method:"Half"} backends{backend:"backend/a/one/1" weight:1} backends{backend:"backend/a/two/1" weight:1}}
				rules{matches{service:"a.Invalid"} backends{invalid:"gone" weight:1}}
				rules{matches{service:"a.None"} backends{backend:"backend/a/none/1" weight:1}}
			}}`)
	})
	conn, err := grpc.NewClient("passthrough:///"+g.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func invoke(ctx context.Context, conn *grpc.ClientConn, method, text string, o ...grpc.CallOption) (string, error) {
	var answer wrapperspb.StringValue
	err := conn.Invoke(ctx, method, wrapperspb.String(text), &answer, o...)
	return answer.Value, err
}

func TestGRPCCalls(t *testing.T) {
	conn := startGRPC(t)
	ctx := timeout(t, time.Minute)
	var head, tail metadata.MD
	got, err := invoke(metadata.AppendToOutgoingContext(ctx, "x-ask", "me"), conn, "/a.S/One", "hello", grpc.Header(&head), grpc.Trailer(&tail))
	if err != nil || got != "one/a.S/One hello" || head.Get("x-head")[0] != "me" || tail.Get("x-tail")[0] != "end" || tail.Get("x-tail-bin")[0] != "\x00\xff" {
		t.Errorf("%q, %v, %v, %v", got, err, head, tail)
	}
	if got, err := invoke(metadata.AppendToOutgoingContext(ctx, "x-to", "two"), conn, "/a.S/Other", "x"); err != nil || got != "two/a.S/Other x" {
		t.Errorf("%q, %v", got, err)
	}
	seen := map[string]int{}
	for range 40 {
		got, err := invoke(ctx, conn, "/a.S/Half", "x")
		if err != nil {
			t.Fatal(err)
		}
		seen[got[:3]]++
	}
	if seen["one"] < 5 || seen["two"] < 5 {
		t.Errorf("shares of equal weights: %v", seen)
	}
	big := strings.Repeat("x", 3<<20)
	if got, err := invoke(ctx, conn, "/a.S/One", big); err != nil || got != "one/a.S/One "+big {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// Every kind of stream is one both ways to a gateway: each answer comes before the next message is sent.
func TestGRPCStreams(t *testing.T) {
	conn := startGRPC(t)
	ctx := timeout(t, time.Minute)
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/a.S/One")
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		var answer wrapperspb.StringValue
		if err := errors.Join(s.SendMsg(wrapperspb.String("m")), s.RecvMsg(&answer)); err != nil || answer.Value != "one/a.S/One m" {
			t.Fatalf("%q, %v", answer.Value, err)
		}
	}
	s.CloseSend()
	if err := s.RecvMsg(&wrapperspb.StringValue{}); err != io.EOF || s.Trailer().Get("x-tail")[0] != "end" {
		t.Errorf("%v, %v", err, s.Trailer())
	}
	// Many messages, then the answers.
	s, err = conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/a.S/One")
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		s.SendMsg(wrapperspb.String("m"))
	}
	s.CloseSend()
	n := 0
	for ; s.RecvMsg(&wrapperspb.StringValue{}) == nil; n++ {
	}
	if n != 50 {
		t.Errorf("%d answers of 50", n)
	}
}

func TestGRPCFailures(t *testing.T) {
	conn := startGRPC(t)
	ctx := timeout(t, time.Minute)
	f := func(method, text string, want codes.Code, message string) {
		t.Helper()
		_, err := invoke(ctx, conn, method, text)
		if s := status.Convert(err); s.Code() != want || !strings.Contains(s.Message(), message) {
			t.Errorf("%s %s: %v, not %v", method, text, err, want)
		}
	}
	f("/b.S/One", "x", codes.Unimplemented, "no route")
	f("/a.Invalid/M", "x", codes.Unavailable, "not configured correctly")
	f("/a.None/M", "x", codes.Unavailable, "no endpoint")
	f("/a.S/One", "!too much: 100% é", codes.ResourceExhausted, "too much: 100% é")
}

// The gateway itself ends a call whose time is up; one whose client leaves ends at the server.
// TestGRPCBackendKeepsTime has a backend that breaks a call off by itself, a moment before its time is up.
func TestGRPCBackendKeepsTime(t *testing.T) {
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Second - 10*time.Millisecond)
		panic(http.ErrAbortHandler)
	}))
	backend.Config.Protocols = new(http.Protocols)
	backend.Config.Protocols.SetUnencryptedHTTP2(true)
	backend.Start()
	defer backend.Close()
	g := startWith(t, builder{}, func(port int) config.Update {
		return texts(t, port, map[string]string{"backend/a/one/1": backend.Listener.Addr().String()},
			`listener{key:"listener/a/gw/http" gateway:"a/gw" name:"http" port:%d protocol:HTTP}`,
			`backend{key:"backend/a/one/1" protocol:H2C endpoints{}}`,
			`route{key:"route/grpc/a/r" namespace:"a" name:"r" parents{listener:"listener/a/gw/http"} grpc{rules{backends{backend:"backend/a/one/1" weight:1}}}}`)
	})
	resp := askWithin(t, g.addr, "1000m")
	if resp.StatusCode != 200 || resp.Header.Get("Grpc-Status") != "4" {
		t.Errorf("%d, %v", resp.StatusCode, resp.Header)
	}
}

// askWithin makes a call as a client of gRPC that does not keep its own time. The message is "?", with the length of gRPC's
// framing before it.
func askWithin(t *testing.T, addr, limit string) *http.Response {
	req, err := http.NewRequestWithContext(timeout(t, 50*time.Second), "POST", "http://"+addr+"/a.S/One", strings.NewReader("\x00\x00\x00\x00\x03\x0a\x01?"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/grpc"}, "Grpc-Timeout": {limit}, "Te": {"trailers"}}
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestGRPCDeadlines(t *testing.T) {
	conn := startGRPC(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := invoke(ctx, conn, "/a.S/One", "?"); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("the client's time: %v", err)
	}
	resp := askWithin(t, conn.Target()[len("passthrough:///"):], "200m")
	if resp.StatusCode != 200 || resp.Header.Get("Grpc-Status") != "4" {
		t.Errorf("the gateway's time: %d, %v", resp.StatusCode, resp.Header)
	}
}
