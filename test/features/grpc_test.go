package features

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	pb "sigs.k8s.io/gateway-api/conformance/echo-basic/grpcechoserver"

	"github.com/nantian-gw/nantian/test/rig"
)

const grpcRoute = `
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: grpc, namespace: gateway-conformance-infra}
spec:
  parentRefs: [{name: own}]
  rules:
  - matches: [{method: {service: gateway_api_conformance.echo_basic.grpcecho.GrpcEcho}}]
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier: {set: [{name: X-Set, value: new}], add: [{name: X-Add, value: two}], remove: [X-Remove]}
    - type: ResponseHeaderModifier
      responseHeaderModifier: {set: [{name: X-Answer, value: own}]}
    backendRefs: [{name: grpc-infra-backend-v1, port: 8080}]
  - matches: [{method: {service: grpc.health.v1.Health}}, {method: {service: grpc.reflection.v1.ServerReflection}}]
    backendRefs: [{name: grpc-infra-backend-v2, port: 8080}]
`

// TestGRPC has what the suite leaves out: headers both ways, streams, deadlines and errors.
func TestGRPC(t *testing.T) {
	c, s := setUp(t)
	b := &bench{t: t, c: c, s: s}
	b.apply(gatewayOf("") + grpcRoute)
	b.await()
	conn, err := grpc.NewClient(b.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	once := func(call func() error) {
		for ctx.Err() == nil && call() != nil {
			time.Sleep(20 * time.Millisecond)
		}
	}
	echo := pb.NewGrpcEchoClient(conn)
	once(func() error { _, err := echo.Echo(ctx, &pb.EchoRequest{}); return err })
	t.Run("headers", func(t *testing.T) { testHeaders(ctx, t, echo) })
	t.Run("errors", func(t *testing.T) { testErrors(ctx, t, conn) })
	t.Run("a stream of the server's", func(t *testing.T) { testServerStream(ctx, t, conn) })
	t.Run("a stream both ways", func(t *testing.T) { testBothWays(ctx, t, conn) })
}

func testHeaders(ctx context.Context, t *testing.T, echo pb.GrpcEchoClient) {
	ctx = metadata.AppendToOutgoingContext(ctx, "x-set", "old", "x-add", "one", "x-remove", "gone", "x-bin", "\x00b")
	var head metadata.MD
	answer, err := echo.EchoTwo(ctx, &pb.EchoRequest{}, grpc.Header(&head))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, h := range answer.GetAssertions().GetHeaders() {
		got[h.Key] = append(got[h.Key], h.Value)
	}
	f := func(name, want string) {
		t.Helper()
		if have := strings.Join(got[name], ","); have != want {
			t.Errorf("%s: %q, want %q", name, have, want)
		}
	}
	f("x-set", "new")
	f("x-add", "one,two")
	f("x-remove", "")
	f("x-bin", "\x00b")
	if own := strings.Join(head["x-answer"], ","); own != "own" {
		t.Errorf("x-answer of the response: %q, want own", own)
	}
}

func testErrors(ctx context.Context, t *testing.T, conn *grpc.ClientConn) {
	f := func(want codes.Code, err error) {
		t.Helper()
		if got := status.Code(err); got != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
	_, err := pb.NewGrpcEchoClient(conn).EchoThree(ctx, &pb.EchoRequest{})
	f(codes.Unimplemented, err)
	f(codes.Unimplemented, conn.Invoke(ctx, "/no.such.Service/Method", &pb.EchoRequest{}, &pb.EchoResponse{}))
	_, err = healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{Service: "nobody"})
	f(codes.NotFound, err)
}

// testServerStream: the first message comes at once, the stream stays open, and a client that leaves ends it.
func testServerStream(ctx context.Context, t *testing.T, conn *grpc.ClientConn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := healthv1.NewHealthClient(conn).Watch(ctx, &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.Recv()
	if err != nil || m.Status != healthv1.HealthCheckResponse_SERVING {
		t.Fatalf("%v, %v", m, err)
	}
	time.AfterFunc(200*time.Millisecond, cancel)
	if _, err := stream.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("%v, want that the client left", err)
	}
}

// testBothWays: each answer comes before the next question is asked.
func testBothWays(ctx context.Context, t *testing.T, conn *grpc.ClientConn) {
	stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		question := &reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}
		if err := stream.Send(question); err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if len(answer.GetListServicesResponse().GetService()) < 2 {
			t.Errorf("services: %v", answer)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err == nil || err.Error() != "EOF" {
		t.Errorf("%v, want the end of the stream", err)
	}
}
