package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"sync/atomic"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// callers are the API keys by policy and SHA-256. They stand beside the table: a key more or less changes no rule.
type callers struct {
	now atomic.Pointer[map[string]map[digest]*caller]
}

// digest is the SHA-256 of a key or a token. The keys of a map are compared in a time that depends on them, but not on the
// credential in a way that leads to it: a hash cannot be approached byte by byte.
type digest = [sha256.Size]byte

type caller struct {
	digest   digest
	identity *exchange.Identity
}

// update takes the callers of a table, and says how many there are. Callers of an equal message stay the same.
func (c *callers) update(rs map[string]*xdsv1.Resource) int {
	all, n := map[string]map[digest]*caller{}, 0
	for _, r := range rs {
		m := r.GetCaller()
		if m == nil || len(m.GetKeySha256()) != sha256.Size {
			continue
		}
		n++
		one := &caller{digest: digest(m.GetKeySha256()), identity: &exchange.Identity{
			APIKey: m.GetNamespace() + "/" + m.GetName(), Models: m.GetModels(), Metadata: m.GetMetadata(),
		}}
		for _, key := range m.GetPolicies() {
			if all[key] == nil {
				all[key] = map[digest]*caller{}
			}
			all[key][one.digest] = one
		}
	}
	c.now.Store(&all)
	return n
}

// find is who holds a key that a policy takes; nil: nobody.
func (c *callers) find(policy string, key []byte) *exchange.Identity {
	all := c.now.Load()
	if all == nil || len(key) > maxCredential {
		return nil
	}
	sum := sha256.Sum256(key)
	one := (*all)[policy][sum]
	if one == nil || subtle.ConstantTimeCompare(one.digest[:], sum[:]) != 1 {
		return nil
	}
	return one.identity
}
