package xds

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// disk keeps the last good set: a file for each kind, readable by its owner alone and encrypted whole (AES-256-GCM), for it
// holds the secrets that a data plane needs to serve. A file is a line that says what it is, bound to the content by the
// cipher, then nonce and ciphertext.
type disk struct {
	dir   string
	group string
	key   func() ([]byte, error)
}

// maxFile is the most that is read: as much as one response may have, and what encoding adds.
const maxFile = 300 << 20

// KeyFrom makes a key for Options.Key from something secret that outlives the process and is not beside the files, for
// example the PEM of the client certificate's private key.
func KeyFrom(secret []byte) ([]byte, error) {
	return hkdf.Key(sha256.New, secret, nil, "nantian last good configuration", 32)
}

func (d *disk) path(k kind) string { return filepath.Join(d.dir, k.name+".last-good") }

func (d *disk) header(k kind) []byte {
	return fmt.Appendf(nil, "nantian last good 1 %s %q\n", k.name, d.group)
}

func (d *disk) cipher() (cipher.AEAD, error) {
	key, err := d.key()
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	if len(key) != 32 {
		return nil, fmt.Errorf("key: has %d bytes, expected 32", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// save replaces the file of a kind at once: after a crash there is the old one or the new one.
func (d *disk) save(k kind, all []*discovery.Resource) error {
	plain, err := proto.Marshal(&discovery.DeltaDiscoveryResponse{TypeUrl: k.typeURL, Resources: all})
	if err != nil {
		return err
	}
	c, err := d.cipher()
	if err != nil {
		return err
	}
	header := d.header(k)
	out := make([]byte, len(header), len(header)+len(plain)+c.Overhead())
	copy(out, header)
	return d.write(d.path(k), c.Seal(out, nil, plain, header))
}

func (d *disk) write(path string, b []byte) error {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(d.dir, ".last-good-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(d.dir)
}

// syncDir makes a rename last.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// load reads the file of a kind. Its error is os.ErrNotExist when there is none.
func (d *disk) load(k kind) (*discovery.DeltaDiscoveryResponse, error) {
	f, err := os.Open(d.path(k))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s: has more than %d bytes", f.Name(), maxFile)
	}
	header := d.header(k)
	sealed, ok := bytes.CutPrefix(b, header)
	if !ok {
		return nil, fmt.Errorf("%s: is not the last good set of group %q", f.Name(), d.group)
	}
	c, err := d.cipher()
	if err != nil {
		return nil, err
	}
	plain, err := c.Open(nil, nil, sealed, header)
	if err != nil {
		return nil, fmt.Errorf("%s: is damaged, or was written with another key", f.Name())
	}
	resp := &discovery.DeltaDiscoveryResponse{}
	if err := proto.Unmarshal(plain, resp); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return resp, nil
}

func pack(key, version string, m proto.Message) (*discovery.Resource, error) {
	a, err := anypb.New(m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return &discovery.Resource{Name: key, Version: version, Resource: a}, nil
}
