package upstream

import (
	"net/netip"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// consistentHash takes the endpoint that a key belongs to by Maglev's table (Eisenbud et al., Maglev: A Fast and Reliable
// Software Network Load Balancer, NSDI 2016, section 3.4): each has an equal share of keys to within a few per cent for up to
// hundreds of endpoints, and when one comes or goes few keys but its own move. Data planes with the same endpoints agree.
//
// A key whose endpoint has no room goes to the next ones in the table, in an order of its own, so that no one endpoint gets all
// of them.
type consistentHash struct{}

var _ Picker = consistentHash{}

// Pick implements Picker.
func (consistentHash) Pick(s *Set, w *wish) *Endpoint {
	if !w.Hashed {
		return random{}.Pick(s, w)
	}
	at := w.Hash % tableSize
	for range maxLots {
		if e := s.fit[s.table[at]]; w.take(e) {
			return e
		}
		at = (at + 1) % tableSize
	}
	return w.walk(s, int(s.table[at]))
}

// tableSize is a prime, so that every skip comes to every place. It is the same for all numbers of endpoints: another would
// move nearly all keys. The table has 256 KiB.
const tableSize = 65537

// maglev fills a table: the endpoints take turns, each with the first place on a way of its own that is free.
func maglev(fit []*Endpoint, weights []float64) []uint32 {
	if len(fit) == 0 {
		return nil
	}
	const free = ^uint32(0)
	table := make([]uint32, tableSize)
	for i := range table {
		table[i] = free
	}
	next, skip, due := make([]uint64, len(fit)), make([]uint64, len(fit)), make([]float64, len(fit))
	for i, e := range fit {
		h := hashText(e.Addr)
		next[i], skip[i] = h%tableSize, mix(h^0x9e3779b97f4a7c15)%(tableSize-1)+1
	}
	for filled := 0; ; {
		for i := range fit {
			if weights != nil {
				if due[i] += weights[i]; due[i] < 1 {
					continue
				}
				due[i]--
			}
			for table[next[i]] != free {
				next[i] = (next[i] + skip[i]) % tableSize
			}
			table[next[i]] = uint32(i)
			if filled++; filled == tableSize {
				return table
			}
		}
	}
}

// hashText is FNV-1a with a final mix. It has no seed: all data planes must agree.
func hashText[T string | []byte](s T) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

// mix spreads what is known of a value over all of its bits (the finalizer of SplitMix64).
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// Affinity is which endpoint a call wants.
type Affinity struct {
	// Hash is that of the key of a consistent hash, if Hashed.
	Hash   uint64
	Hashed bool
	// Session is the address of the endpoint that a session is at; empty: none. It goes before all else, as long as the
	// endpoint is there and not out.
	Session string
}

// Affinity is what an exchange says of the key that the cluster hashes, if it does.
func (c *Cluster) Affinity(x *exchange.Exchange) Affinity {
	h := c.rules.hash
	if h == nil {
		return Affinity{}
	}
	var key []byte
	switch h.Source {
	case xdsv1.HashKey_SOURCE_IP:
		return c.affinityOf(x.Client.Addr())
	case xdsv1.HashKey_HEADER:
		key = x.Req.Peek(h.Name)
	case xdsv1.HashKey_COOKIE:
		key = x.Req.Cookie(h.Name)
	case xdsv1.HashKey_HOSTNAME:
		key = x.Req.Host()
	}
	return Affinity{Hash: hashText(key), Hashed: len(key) > 0}
}

// affinityOf is Affinity for a connection, of which nothing but the client's address is known.
func (c *Cluster) affinityOf(client netip.Addr) Affinity {
	if c.rules.hash.GetSource() != xdsv1.HashKey_SOURCE_IP || !client.IsValid() {
		return Affinity{}
	}
	b := client.As16()
	return Affinity{Hash: hashText(b[:]), Hashed: true}
}
