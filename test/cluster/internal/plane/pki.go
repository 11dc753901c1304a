package plane

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// validity is far above the life of a cluster: certificates are made anew for each.
const validity = 30 * 24 * time.Hour

// authority issues the certificates of one cluster.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newAuthority makes the cluster's CA and writes its certificate to ca.crt.
func newAuthority(dir string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := certificate("cluster-ca", nil)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	a := &authority{dir: dir, cert: cert, key: key}
	return a, a.write("ca.crt", "CERTIFICATE", der, 0o644)
}

// certificate is a template with a validity from an hour ago, for clocks that were set back.
func certificate(name string, groups []string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // crypto/rand does not fail
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: groups},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(validity),
	}
}

// server writes NAME.crt and NAME.key for a server with the names and addresses.
func (a *authority) server(name string, dns []string, addrs ...netip.Addr) error {
	template := certificate(name, nil)
	template.DNSNames = dns
	for _, addr := range addrs {
		template.IPAddresses = append(template.IPAddresses, net.IP(addr.AsSlice()))
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return a.issue(name, template)
}

// client writes NAME.crt and NAME.key, by which the API server knows a user of that name in the groups.
func (a *authority) client(name string, groups ...string) error {
	template := certificate(name, groups)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.issue(name, template)
}

func (a *authority) issue(name string, template *x509.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return fmt.Errorf("certificate of %s: %w", name, err)
	}
	if err := a.write(name+".crt", "CERTIFICATE", der, 0o644); err != nil {
		return err
	}
	return a.key2file(name+".key", key)
}

// signer writes the key pair that service account tokens are signed with: sa.key and sa.pub.
func (a *authority) signer() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	pub, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	if err := a.write("sa.pub", "PUBLIC KEY", pub, 0o644); err != nil {
		return err
	}
	return a.key2file("sa.key", key)
}

func (a *authority) key2file(name string, key crypto.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return a.write(name, "PRIVATE KEY", der, 0o600)
}

func (a *authority) write(name, kind string, der []byte, mode os.FileMode) error {
	return os.WriteFile(filepath.Join(a.dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}

// issueAll writes all keys and certificates of the plane to a directory.
func (p *Plane) issueAll() error {
	n := p.cluster.Network
	a, err := newAuthority(p.pki)
	if err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	names := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
	for _, issue := range []func() error{
		a.signer,
		func() error { return a.server("apiserver", names, n.API(), n.Kubernetes()) },
		func() error { return a.server("kubelet", []string{"node"}, n.Node()) },
		func() error { return a.client("admin", "system:masters") },
		func() error { return a.client("node-admin", "system:masters") },
		func() error { return a.client("system:kube-controller-manager") },
		func() error { return a.client("apiserver-kubelet-client") },
	} {
		if err := issue(); err != nil {
			return err
		}
	}
	return nil
}
