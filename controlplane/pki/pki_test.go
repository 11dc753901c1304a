package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func rotate(t *testing.T, c *CA, now time.Time, want bool) *CA {
	t.Helper()
	n, changed, err := Rotate(c, now)
	if err != nil {
		t.Fatal(err)
	}
	if changed != want {
		t.Fatalf("at %s: changed %v, expected %v", now.Sub(start), changed, want)
	}
	read, err := ParseCA(n.Data())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read.Bundle(), n.Bundle()) || !bytes.Equal(read.signing.Cert, n.signing.Cert) || (read.next == nil) != (n.next == nil) {
		t.Fatal("what is written is not what is read")
	}
	return n
}

// A successor is trusted before it signs, and the one before stays trusted until it ends: whoever has which version of the
// bundle trusts what the others show.
func TestRotation(t *testing.T) {
	first := rotate(t, nil, start, true)
	rotate(t, first, start.Add(24*time.Hour), false)
	due := start.Add(caLifetime - caRenewal + time.Hour)
	second := rotate(t, first, due, true)
	if second.next == nil || !bytes.Equal(second.signing.Cert, first.signing.Cert) || len(second.trusted) != 2 {
		t.Fatal("the successor is not announced, or signs at once")
	}
	rotate(t, second, due.Add(overlap-time.Minute), false)
	third := rotate(t, second, due.Add(overlap+time.Minute), true)
	if third.next != nil || !bytes.Equal(third.signing.Cert, second.next.Cert) || len(third.trusted) != 2 {
		t.Fatal("the successor does not sign, or the one before is not trusted any more")
	}
	last := rotate(t, third, start.Add(caLifetime+time.Minute), true)
	if len(last.trusted) != 1 {
		t.Fatal("a certificate that has ended is trusted")
	}
	// Nobody renewed for years: everything is made anew.
	rotate(t, last, start.Add(10*caLifetime), true)
}

func TestClientData(t *testing.T) {
	ca := rotate(t, nil, start, true)
	data, changed, err := ca.ClientData(nil, "cluster.local", "ns/gw", start)
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	same, changed, err := ca.ClientData(data, "cluster.local", "ns/gw", start.Add(leafLifetime/2))
	if err != nil || changed || !bytes.Equal(same[corev1.TLSCertKey], data[corev1.TLSCertKey]) {
		t.Fatal("a certificate is replaced too early", err)
	}
	for name, f := range map[string]func() (map[string][]byte, bool, error){
		"later": func() (map[string][]byte, bool, error) {
			return ca.ClientData(data, "cluster.local", "ns/gw", start.Add(leafLifetime*3/4))
		},
		"another group": func() (map[string][]byte, bool, error) {
			return ca.ClientData(data, "cluster.local", "ns/other", start)
		},
		"another CA": func() (map[string][]byte, bool, error) {
			return rotate(t, nil, start, true).ClientData(data, "cluster.local", "ns/gw", start)
		},
	} {
		d, changed, err := f()
		if err != nil || !changed || bytes.Equal(d[corev1.TLSCertKey], data[corev1.TLSCertKey]) || !bytes.Equal(d[StorageKey], data[StorageKey]) {
			t.Errorf("%s: changed %v, error %v", name, changed, err)
		}
	}
}

// handshake connects a client with the data of a Secret to a listener.
func handshake(t *testing.T, l *Listener, data map[string][]byte, serverName string) error {
	t.Helper()
	cert, err := tls.X509KeyPair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(data[BundleKey])
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	server := tls.Server(a, l.Config())
	failed := make(chan error, 1)
	go func() {
		err := server.Handshake()
		if err == nil {
			_, err = server.Write([]byte("x"))
		}
		failed <- err
		a.Close()
	}()
	client := tls.Client(b, &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: roots, ServerName: serverName, NextProtos: []string{"h2"}})
	if _, err := client.Read(make([]byte, 1)); err != nil {
		b.Close()
		<-failed
		return err
	}
	b.Close()
	return <-failed
}

// A listener that is told of a new CA serves clients of the old bundle and of the new one, without a restart.
func TestListener(t *testing.T) {
	now := time.Now()
	l := NewListener([]string{"nantian-controller.nantian-system.svc", "127.0.0.1"})
	if l.Ready() == nil {
		t.Error("ready without a certificate")
	}
	old := rotate(t, nil, now.Add(-caLifetime+caRenewal-time.Hour), true)
	if err := l.Update(old, now); err != nil {
		t.Fatal(err)
	}
	data, _, _ := old.ClientData(nil, "cluster.local", "ns/gw", now)
	for _, name := range []string{"nantian-controller.nantian-system.svc", "127.0.0.1"} {
		if err := handshake(t, l, data, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if handshake(t, l, data, "example.com") == nil {
		t.Error("the certificate is good for any name")
	}
	both, _, _ := Rotate(old, now)
	if err := l.Update(both, now); err != nil {
		t.Fatal(err)
	}
	fresh, _, _ := both.ClientData(nil, "cluster.local", "ns/gw", now)
	for name, d := range map[string]map[string][]byte{"the old bundle": data, "the new bundle": fresh} {
		if err := handshake(t, l, d, "127.0.0.1"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	stranger, _, _ := Rotate(nil, now)
	foreign, _, _ := stranger.ClientData(nil, "cluster.local", "ns/gw", now)
	foreign[BundleKey] = both.Bundle()
	if handshake(t, l, foreign, "127.0.0.1") == nil {
		t.Error("a certificate of another CA is let in")
	}
}
