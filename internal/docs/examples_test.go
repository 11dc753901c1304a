package docs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestExamples wants every example to be valid, and to be run by some page.
func TestExamples(t *testing.T) {
	run := map[string]bool{}
	for _, p := range pages(t) {
		for _, f := range p.fences {
			for word := range strings.FieldsSeq(f.text) {
				if f.lang == "sh" {
					run[word] = true
				}
			}
		}
	}
	files, err := filepath.Glob(root + "/examples/*/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no examples", err)
	}
	folders := map[string]bool{}
	for _, f := range files {
		folders[filepath.Dir(f)] = true
	}
	cert, key := certificate(t)
	for folder := range folders {
		name := strings.TrimPrefix(folder, root+"/")
		if !run[name] {
			t.Errorf("no page runs %s", name)
		}
		cmd := exec.Command(filepath.Join(programs, "nantian"), "validate", "-f", folder)
		cmd.Env = append(os.Environ(), "TLS_CERT="+cert, "TLS_KEY="+key)
		out, err := cmd.CombinedOutput()
		if err != nil || bytes.Contains(out, []byte("warning:")) {
			t.Errorf("%s is not valid: %v\n%s", name, err, out)
		}
	}
}

// certificate makes a certificate and its key, in PEM.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}
