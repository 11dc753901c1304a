package xds

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// maxMessage is the most bytes of a response; gRPC's own default of 4 MiB is less than a first response may have.
const maxMessage = 256 << 20

// Of several control planes behind a name, data planes are to take different ones.
const serviceConfig = `{"loadBalancingConfig":[{"pick_first":{"shuffleAddressList":true}}]}`

// dial makes a connection for one attempt. Names are resolved and certificates read anew each time.
func (c *Client) dial() (*grpc.ClientConn, error) {
	secure := credentials.TransportCredentials(insecure.NewCredentials())
	if c.o.TLS != nil {
		conf, err := c.o.TLS()
		if err != nil {
			return nil, fmt.Errorf("TLS: %w", err)
		}
		secure = credentials.NewTLS(conf)
	}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(secure),
		grpc.WithNoProxy(), // HTTPS_PROXY is for the way to model vendors
		grpc.WithDefaultServiceConfig(serviceConfig), grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: grpcbackoff.DefaultConfig, MinConnectTimeout: 10 * time.Second}),
	}
	if c.o.Token != nil {
		opts = append(opts, grpc.WithPerRPCCredentials(bearer(c.o.Token)))
	}
	if c.o.Dial != nil {
		opts = append(opts, grpc.WithContextDialer(c.o.Dial))
		return grpc.NewClient("passthrough:///"+c.o.Address, opts...)
	}
	return grpc.NewClient(c.o.Address, opts...)
}

// bearer sends a token.
type bearer func() (string, error)

var _ credentials.PerRPCCredentials = bearer(nil)

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := b()
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (bearer) RequireTransportSecurity() bool { return true }

// Files are where the credentials of a data plane are, in PEM, as a mounted Secret has them.
type Files struct {
	// Cert and Key are the client certificate; both empty: none.
	Cert, Key string
	// CA signs the control plane's certificate.
	CA string
	// ServerName is what that certificate must be for; empty: the host of the address.
	ServerName string
}

// Config reads the files; it is meant for Options.TLS.
func (f Files) Config() (*tls.Config, error) {
	pem, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: f.ServerName, RootCAs: x509.NewCertPool()}
	if !conf.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New(f.CA + ": no certificate in it")
	}
	if f.Cert == "" && f.Key == "" {
		return conf, nil
	}
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("client certificate: %w", err)
	}
	conf.Certificates = []tls.Certificate{pair}
	return conf, nil
}
