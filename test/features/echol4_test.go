package features

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"

	"sigs.k8s.io/gateway-api/conformance/echo-basic/tcpserver"
	"sigs.k8s.io/gateway-api/conformance/echo-basic/udpechoserver"
)

// Ports of the echo servers for datagrams.
const (
	udpPort = 8080
	dnsPort = 53
)

// startTCP opens the ports of an echo server for lines of text, with TLS and without.
func (e *echo) startTCP() error {
	if err := e.serve(httpPort, e.lineServer(func(c net.Conn) net.Conn { return c })); err != nil {
		return err
	}
	if e.certificate == nil {
		return nil
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{*e.certificate}}
	return e.serve(httpsPort, e.lineServer(func(c net.Conn) net.Conn { return tls.Server(c, cfg) }))
}

func (e *echo) lineServer(wrap func(net.Conn) net.Conn) func() (func(net.Listener) error, func()) {
	return func() (func(net.Listener) error, func()) {
		opened := make(chan net.Listener, 1)
		serve := func(l net.Listener) error {
			opened <- l
			for {
				c, err := l.Accept()
				if err != nil {
					return err
				}
				go e.converse(wrap(c))
			}
		}
		return serve, func() { (<-opened).Close() }
	}
}

// converse answers lines as tcpserver does.
func (e *echo) converse(c net.Conn) {
	defer c.Close()
	a := tcpserver.TCPAssertions{Context: tcpserver.Context{Namespace: e.namespace, Pod: e.pod, Service: e.service}}
	if tc, ok := c.(*tls.Conn); ok {
		if tc.Handshake() != nil {
			return
		}
		s := tc.ConnectionState()
		a.IsTLS = true
		a.TLSAssertion = &tcpserver.TLSAssertions{ServerName: s.ServerName, NegotiatedProtocol: s.NegotiatedProtocol, Version: tls.VersionName(s.Version)}
	}
	io.WriteString(c, tcpserver.WelcomeMessage)
	for lines := bufio.NewScanner(c); lines.Scan(); {
		switch lines.Text() {
		case "TEST":
			json.NewEncoder(c).Encode(a)
		case "IS_TLS":
			fmt.Fprintf(c, "%t\n", a.IsTLS)
		case "PING":
			io.WriteString(c, "PONG\n")
		}
	}
}

// serveUDP answers datagrams on a port.
func (e *echo) serveUDP(port int, answer func([]byte) []byte) error {
	c, err := net.ListenPacket("udp", net.JoinHostPort(e.address, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	e.close = append(e.close, func() { c.Close() })
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			c.WriteTo(answer(buf[:n]), from)
		}
	}()
	return nil
}

func (e *echo) answerUDP(p []byte) []byte {
	b, _ := json.Marshal(udpechoserver.EchoResponse{
		Request: string(p), Context: udpechoserver.Context{Namespace: e.namespace, Service: e.service, Pod: e.pod},
	})
	return b
}

// answerDNS makes a response without records of a query (RFC 1035, section 4.1.1).
func answerDNS(p []byte) []byte {
	if len(p) > 2 {
		p[2] |= 0x80
	}
	return p
}
