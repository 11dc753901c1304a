package server_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/config"
)

// certificate is a Secret with a certificate for a name.
func (a *authority) certificate(key, name string) *xdsv1.Resource {
	chain, private := a.issue(name)
	return &xdsv1.Resource{Kind: &xdsv1.Resource_Secret{Secret: &xdsv1.Secret{Key: key, Kind: &xdsv1.Secret_Certificate{
		Certificate: &xdsv1.Certificate{Chain: chain, PrivateKey: private}}}}}
}

// asking is a backend with TLS that answers with the name in the certificate of its client.
func asking(t *testing.T, ca *authority) *httptest.Server {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 {
			io.WriteString(w, "nobody")
			return
		}
		fmt.Fprint(w, r.TLS.PeerCertificates[0].DNSNames[0])
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{pairOf(t, ca, "upstream.test")}, ClientAuth: tls.RequestClientCert}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

func pairOf(t *testing.T, ca *authority, name string) tls.Certificate {
	chain, key := ca.issue(name)
	cert, err := tls.X509KeyPair(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func secureBackend(ca *authority) *xdsv1.Resource {
	return &xdsv1.Resource{Kind: &xdsv1.Resource_Backend{Backend: &xdsv1.Backend{Key: "backend/a/s/1", Protocol: h1Backend,
		Tls: &xdsv1.BackendTLS{Hostname: "upstream.test", CaCertificates: [][]byte{ca.pem}}, Kind: &xdsv1.Backend_Endpoints{Endpoints: &xdsv1.EndpointsRef{}}}}}
}

// Gateways show the same backend each its own certificate, and a new one is shown without a restart.
func TestCertificatesOfGateways(t *testing.T) {
	ca := newAuthority(t)
	srv := asking(t, ca)
	g := startWith(t, builder{}, func(port int) config.Update {
		u := texts(t, port, map[string]string{"backend/a/s/1": srv.Listener.Addr().String()},
			`listener{key:"listener/a/one/http" gateway:"a/one" name:"http" port:%d protocol:HTTP addresses:"127.0.0.1" client_certificate:"secret/a/one"}`,
			`listener{key:"listener/a/two/http" gateway:"a/two" name:"http" port:%d protocol:HTTP addresses:"127.0.0.2" client_certificate:"secret/a/two"}`,
			`listener{key:"listener/a/none/http" gateway:"a/none" name:"http" port:%d protocol:HTTP addresses:"127.0.0.3"}`,
			`route{key:"route/http/a/r" namespace:"a" name:"r" parents{listener:"listener/a/one/http"} parents{listener:"listener/a/two/http"} parents{listener:"listener/a/none/http"}
				http{rules{backends{backend:"backend/a/s/1" weight:1}}}}`)
		u.Set["secret/a/one"], u.Set["secret/a/two"] = ca.certificate("secret/a/one", "one.test"), ca.certificate("secret/a/two", "two.test")
		u.Set["backend/a/s/1"] = secureBackend(ca)
		return u
	})
	shown := func(host string) string {
		g.addr = net.JoinHostPort(host, strconv.Itoa(port(g)))
		code, body := g.dial().get("/")
		return fmt.Sprint(code, " ", body)
	}
	f := func(host, want string) {
		t.Helper()
		if got := shown(host); got != want {
			t.Errorf("the Gateway at %s showed %s, not %s", host, got, want)
		}
	}
	f("127.0.0.1", "200 one.test")
	f("127.0.0.2", "200 two.test")
	f("127.0.0.3", "200 nobody")
	if err := g.store.Apply(t.Context(), config.Update{Set: map[string]*xdsv1.Resource{"secret/a/one": ca.certificate("secret/a/one", "renewed.test")}}); err != nil {
		t.Fatal(err)
	}
	f("127.0.0.1", "200 renewed.test")
	f("127.0.0.2", "200 two.test")
}

// A new authority of a backend is believed, and the old one no more, without a restart.
func TestAuthoritiesOfBackends(t *testing.T) {
	before, after := newAuthority(t), newAuthority(t)
	srv := asking(t, before)
	g := startWith(t, builder{}, func(port int) config.Update {
		u := texts(t, port, map[string]string{"backend/a/s/1": srv.Listener.Addr().String()},
			`listener{key:"listener/a/gw/http" gateway:"a/gw" name:"http" port:%d protocol:HTTP}`,
			`route{key:"route/http/a/r" namespace:"a" name:"r" parents{listener:"listener/a/gw/http"} http{rules{backends{backend:"backend/a/s/1" weight:1}}}}`)
		u.Set["backend/a/s/1"] = secureBackend(before)
		return u
	})
	f := func(want int) {
		t.Helper()
		if code, body := g.dial().get("/"); code != want {
			t.Errorf("%d %s, not %d", code, body, want)
		}
	}
	trust := func(ca *authority) {
		t.Helper()
		if err := g.store.Apply(t.Context(), config.Update{Set: map[string]*xdsv1.Resource{"backend/a/s/1": secureBackend(ca)}}); err != nil {
			t.Fatal(err)
		}
	}
	f(200)
	trust(after)
	f(503)
	trust(before)
	f(200)
}
