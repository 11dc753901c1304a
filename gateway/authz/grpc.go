package authz

import (
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/valyala/fasthttp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

const (
	checkPath = "/envoy.service.auth.v3.Authorization/Check"
	// frameHead is the length of what precedes a message: a flag and four bytes of length (gRPC over HTTP/2, Length-Prefixed-Message).
	frameHead = 5
)

// overGRPC asks by Envoy's protocol.
type overGRPC struct {
	authority string
	// all says that the server is shown all fields, and so those as well that HTTP/2 has in their place, as Envoy shows them.
	all bool
}

func newGRPC(cl *upstream.Cluster, all bool) *overGRPC {
	p := &overGRPC{authority: cl.Host, all: all}
	if cl.TLS != nil && cl.TLS.ServerName != "" {
		p.authority = cl.TLS.ServerName
	}
	if p.authority == "" { // "<ns>/<service>:<port>"
		ns, rest, _ := strings.Cut(cl.Name, "/")
		service, _, _ := strings.Cut(rest, ":")
		p.authority = service + "." + ns
	}
	return p
}

func (p *overGRPC) prepare(f *Filter, x *exchange.Exchange, c *call, body []byte) error {
	m, err := proto.Marshal(p.question(f, x, body))
	if err != nil {
		return err
	}
	framed := make([]byte, frameHead, frameHead+len(m))
	binary.BigEndian.PutUint32(framed[1:], uint32(len(m)))
	c.head.SetNoDefaultContentType(true)
	c.head.Set(fasthttp.HeaderContentType, "application/grpc")
	c.head.Set("Grpc-Timeout", strconv.FormatInt(timeout.Milliseconds(), 10)+"m")
	c.Method, c.Host, c.Path = []byte("POST"), []byte(p.authority), []byte(checkPath)
	c.Header, c.Resp, c.RespTrailer, c.TE = &c.head, &c.resp, &c.trailer, true
	c.Body = exchange.BytesBody(append(framed, m...))
	return nil
}

func (p *overGRPC) question(f *Filter, x *exchange.Exchange, body []byte) *authv3.CheckRequest {
	a := &authv3.AttributeContext{
		Source:      &authv3.AttributeContext_Peer{Address: address(x.Client), Principal: principal(x)},
		Destination: &authv3.AttributeContext_Peer{Address: address(x.Local)},
		Request:     &authv3.AttributeContext_Request{Time: timestamppb.New(x.Start), Http: p.http(f, x, body)},
	}
	if x.TLS != nil {
		a.TlsSession = &authv3.AttributeContext_TLSSession{Sni: x.TLS.ServerName}
	}
	return &authv3.CheckRequest{Attributes: a}
}

func (p *overGRPC) http(f *Filter, x *exchange.Exchange, body []byte) *authv3.AttributeContext_HttpRequest {
	var head fasthttp.RequestHeader
	f.fields(x, &head)
	h := &authv3.AttributeContext_HttpRequest{
		Id: text(head.Peek("X-Request-Id")), Method: text(x.Req.Method()), Path: target("", x), Host: text(x.Req.Host()),
		Scheme: x.Scheme, Protocol: version(x), Size: x.ReqBody.Length, Headers: map[string]string{},
	}
	h.Path = strings.ToValidUTF8(h.Path, "!")
	for name, value := range head.All() {
		add(h.Headers, strings.ToLower(string(name)), text(value))
	}
	if c := x.Cookie(); c != nil && f.show(fasthttp.HeaderCookie) {
		h.Headers["cookie"] = text(c)
	}
	if p.all {
		h.Headers[":method"], h.Headers[":path"], h.Headers[":scheme"], h.Headers[":authority"] = h.Method, h.Path, h.Scheme, h.Host
	}
	if utf8.Valid(body) {
		h.Body = string(body)
	} else {
		h.RawBody = body
	}
	return h
}

// add joins fields of one name (RFC 9110, section 5.3).
func add(fields map[string]string, name, value string) {
	if old, ok := fields[name]; ok {
		value = old + "," + value
	}
	fields[name] = value
}

// text makes bytes of a client UTF-8, as the protocol asks for.
func text(b []byte) string { return strings.ToValidUTF8(string(b), "!") }

func version(x *exchange.Exchange) string {
	if x.Proto == 2 {
		return "HTTP/2"
	}
	return "HTTP/1." + strconv.Itoa(x.Minor)
}

func address(a netip.AddrPort) *core.Address {
	if !a.IsValid() {
		return nil
	}
	return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
		Address: a.Addr().String(), PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(a.Port())},
	}}}
}

// principal names the client by the certificate that it was verified by: its first URI, or DNS name, or its subject.
func principal(x *exchange.Exchange) string {
	if x.TLS == nil || len(x.TLS.VerifiedChains) == 0 || len(x.TLS.VerifiedChains[0]) == 0 {
		return ""
	}
	return nameOf(x.TLS.VerifiedChains[0][0])
}

func nameOf(c *x509.Certificate) string {
	switch {
	case len(c.URIs) > 0:
		return strings.ToValidUTF8(c.URIs[0].String(), "!")
	case len(c.DNSNames) > 0:
		return strings.ToValidUTF8(c.DNSNames[0], "!")
	}
	return strings.ToValidUTF8(c.Subject.String(), "!")
}

// read reads the answer and its status, which is in the trailer or, where there is no message, in the head.
func (p *overGRPC) read(c *call) (*answer, error) {
	if s := c.resp.StatusCode(); s != 200 {
		return nil, fmt.Errorf("the authorization server answered with the status %d of HTTP, not with gRPC", s)
	}
	body, err := c.answerBody()
	if err != nil {
		return nil, err
	}
	status := string(c.resp.Peek("Grpc-Status"))
	for _, t := range c.trailer {
		if t.Name == "grpc-status" {
			status = t.Value
		}
	}
	if status != "0" {
		return nil, fmt.Errorf("the authorization server answered with grpc-status %.3q", status)
	}
	m, err := unframe(body)
	if err != nil {
		return nil, err
	}
	return verdict(m)
}

var errFrame = errors.New("the authorization server's answer is not one message of gRPC without compression")

func unframe(b []byte) ([]byte, error) {
	if len(b) < frameHead || b[0] != 0 || uint64(binary.BigEndian.Uint32(b[1:])) != uint64(len(b)-frameHead) {
		return nil, errFrame
	}
	return b[frameHead:], nil
}
