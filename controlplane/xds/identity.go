package xds

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// Identity is who a data plane has proven to be.
type Identity struct {
	// Group is the one whose configuration it may have: "<namespace>/<name>" of its Gateway.
	Group string
	// Expires is when the proof ends, and with it the stream; zero: never.
	Expires time.Time
}

// Authenticator tells from the context of a stream who has opened it: from the peer's certificates or the request's
// metadata. An error refuses the stream; data planes read it. It is called by several goroutines at once.
type Authenticator interface {
	Authenticate(ctx context.Context) (Identity, error)
}

// Certificates is the Authenticator for mutual TLS: the group is what the client certificate's one SPIFFE URI says,
// spiffe://<trust domain>/group/<namespace>/<name>. The TLS configuration must verify client certificates.
type Certificates struct {
	// TrustDomain is the only one that is accepted.
	TrustDomain string
}

// Tokens is the Authenticator for bearer tokens in the metadata "authorization": Review tells whose a token is.
type Tokens struct {
	Review func(ctx context.Context, token string) (Identity, error)
}

var (
	_ Authenticator = Certificates{}
	_ Authenticator = Tokens{}
)

// Authenticate implements Authenticator.
func (c Certificates) Authenticate(ctx context.Context) (Identity, error) {
	p, _ := peer.FromContext(ctx)
	if p == nil {
		return Identity{}, errors.New("the connection is not known")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 || len(info.State.VerifiedChains[0]) == 0 {
		return Identity{}, errors.New("no verified client certificate")
	}
	leaf := info.State.VerifiedChains[0][0]
	if len(leaf.URIs) != 1 {
		return Identity{}, fmt.Errorf("the client certificate has %d URIs, expected one SPIFFE ID", len(leaf.URIs))
	}
	group, err := groupOf(leaf.URIs[0], c.TrustDomain)
	if err != nil {
		return Identity{}, err
	}
	return Identity{Group: group, Expires: leaf.NotAfter}, nil
}

// groupOf reads spiffe://<trust domain>/group/<namespace>/<name>.
func groupOf(id *url.URL, trustDomain string) (string, error) {
	rest, ok := strings.CutPrefix(id.EscapedPath(), "/group/")
	namespace, name, two := strings.Cut(rest, "/")
	if id.Scheme != "spiffe" || id.Host != trustDomain || id.RawQuery != "" || id.Fragment != "" || id.User != nil ||
		!ok || !two || namespace == "" || name == "" || strings.ContainsAny(rest, "%") || strings.Contains(name, "/") {
		return "", fmt.Errorf("the client certificate's URI %q is not spiffe://%s/group/<namespace>/<name>", id, trustDomain)
	}
	return rest, nil
}

// Authenticate implements Authenticator.
func (t Tokens) Authenticate(ctx context.Context) (Identity, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get("authorization")
	if len(values) != 1 {
		return Identity{}, errors.New("expected one bearer token")
	}
	token, ok := strings.CutPrefix(values[0], "Bearer ")
	if !ok || token == "" {
		return Identity{}, errors.New("expected a bearer token")
	}
	return t.Review(ctx, token)
}
