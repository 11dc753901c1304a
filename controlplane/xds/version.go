package xds

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
)

// digest is the version of a set of resources: the sum, modulo 2^128, of a hash of each key with its version. So a change
// costs what it changes, whatever the size of the set, and equal sets have equal versions on every replica.
type digest struct{ hi, lo uint64 }

// Version is the version of a whole set, from the versions of its resources by key. It is what DataPlane tells of a
// snapshot's Versions.
func Version(versions map[string]string) string {
	var d digest
	for key, v := range versions {
		d.add(key, v)
	}
	return d.String()
}

func (d *digest) add(key, version string) {
	hi, lo := hash(key, version)
	var carry uint64
	d.lo, carry = bits.Add64(d.lo, lo, 0)
	d.hi, _ = bits.Add64(d.hi, hi, carry)
}

func (d *digest) remove(key, version string) {
	hi, lo := hash(key, version)
	var borrow uint64
	d.lo, borrow = bits.Sub64(d.lo, lo, 0)
	d.hi, _ = bits.Sub64(d.hi, hi, borrow)
}

func (d digest) String() string { return fmt.Sprintf("%016x%016x", d.hi, d.lo) }

func hash(key, version string) (hi, lo uint64) {
	sum := sha256.Sum256([]byte(key + "\x00" + version))
	return binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])
}
