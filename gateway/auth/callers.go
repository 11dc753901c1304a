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
	// known are the messages that now was made of, by key. One goroutine at a time updates.
	known map[string]*xdsv1.Caller
}

// digest is the SHA-256 of a key or a token. The keys of a map are compared in a time that depends on them, but not on the
// credential in a way that leads to it: a hash cannot be approached byte by byte.
type digest = [sha256.Size]byte

type caller struct {
	digest   digest
	identity *exchange.Identity
}

// update takes the callers of a table, and says how many there are.
func (c *callers) update(rs map[string]*xdsv1.Resource) int {
	known, same := map[string]*xdsv1.Caller{}, true
	for key, r := range rs {
		if m := r.GetCaller(); m != nil {
			known[key] = m
			same = same && c.known[key] == m
		}
	}
	if same && len(known) == len(c.known) {
		return len(known)
	}
	c.known = known
	all := map[string]map[digest]*caller{}
	for _, m := range known {
		one := newCaller(m)
		for _, key := range m.GetPolicies() {
			if all[key] == nil {
				all[key] = map[digest]*caller{}
			}
			all[key][one.digest] = one
		}
	}
	c.now.Store(&all)
	return len(known)
}

// newCaller is the caller of a message that passed xdsv1.Validate.
func newCaller(m *xdsv1.Caller) *caller {
	return &caller{digest: digest(m.GetKeySha256()), identity: &exchange.Identity{
		APIKey: m.GetNamespace() + "/" + m.GetName(), Models: m.GetModels(), Metadata: m.GetMetadata(),
	}}
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
