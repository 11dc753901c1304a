// Command grpc is the gRPC service behind the example of GRPCRoute, and a client of it: grpc.health.v1.Health.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
)

func main() {
	listen := flag.String("listen", "", "address to listen at, as a server")
	call := flag.String("call", "", "address to call, as a client")
	watch := flag.Bool("watch", false, "call Watch, a stream of the server's, in place of Check")
	canary := flag.Bool("canary", false, "send x-canary: yes")
	flag.Parse()
	if *listen != "" {
		log.Fatal(serve(*listen))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if *canary {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-canary", "yes")
	}
	answer, err := ask(ctx, *call, *watch)
	if err != nil {
		s := status.Convert(err)
		fmt.Printf("%s: %s\n", s.Code(), s.Message())
		os.Exit(1)
	}
	fmt.Println(answer)
}

func serve(address string) error {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	s := grpc.NewServer()
	healthv1.RegisterHealthServer(s, health.NewServer())
	reflection.Register(s)
	log.Printf("grpc listens at %s", address)
	return s.Serve(ln)
}

func ask(ctx context.Context, address string, watch bool) (string, error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	client := healthv1.NewHealthClient(conn)
	if !watch {
		r, err := client.Check(ctx, &healthv1.HealthCheckRequest{})
		return r.GetStatus().String(), err
	}
	stream, err := client.Watch(ctx, &healthv1.HealthCheckRequest{})
	if err != nil {
		return "", err
	}
	r, err := stream.Recv()
	return r.GetStatus().String(), err
}
