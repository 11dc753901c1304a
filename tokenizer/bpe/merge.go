package bpe

// A merger encodes a short piece by merging as byte pair encoding is defined: the two neighbours whose token has the
// lowest rank, the leftmost of equals, until none merge. That is quadratic, but up to maxMerged bytes it is two to three
// times as fast as the backtracker on text of which few pieces are tokens, as it looks less often into the large tables.
type merger struct {
	ids [maxMerged]uint32
	// keys is for each part that is left the token it merges into with the next one, and where it begins: token<<posBits
	// | position. Of parts that are gone, and of those that don't merge, the token is noToken.
	keys       [maxMerged]uint32
	next, prev [maxMerged + 1]uint8
}

const (
	posBits   = 6
	maxMerged = 1 << posBits // bytes
	noToken   = 1<<tokenBits - 1
	noKey     = noToken << posBits
)

// count merges p, which has 1 to maxMerged bytes, and returns the number of its tokens.
func (m *merger) count(v *vocab, p []byte) int {
	n := len(p)
	m.reset(v, p)
	for parts := n; ; parts-- {
		key := m.lowest(n)
		if key >= noKey {
			return parts
		}
		m.merge(v, key, n)
	}
}

// append appends the tokens that count found in n bytes.
func (m *merger) append(tokens []uint32, n int) []uint32 {
	for i := 0; i < n; i = int(m.next[i]) {
		tokens = append(tokens, m.ids[i])
	}
	return tokens
}

// reset makes each byte of p a part.
func (m *merger) reset(v *vocab, p []byte) {
	n := len(p)
	for i := range n - 1 {
		m.ids[i] = uint32(v.bytes[p[i]])
		m.keys[i] = v.first[uint32(p[i])<<8|uint32(p[i+1])]<<posBits | uint32(i)
		m.next[i], m.prev[i+1] = uint8(i+1), uint8(i)
	}
	m.ids[n-1], m.next[n-1] = uint32(v.bytes[p[n-1]]), uint8(n)
	for i := n - 1; i < (n+3)&^3; i++ {
		m.keys[i] = noKey
	}
}

// lowest returns the lowest of n keys, with four minima at once so that none waits for the one before.
func (m *merger) lowest(n int) uint32 {
	a, b, c, d := uint32(noKey), uint32(noKey), uint32(noKey), uint32(noKey)
	for i := 0; i < n; i += 4 {
		k := (*[4]uint32)(m.keys[i&(maxMerged-4):])
		a, b, c, d = min(a, k[0]), min(b, k[1]), min(c, k[2]), min(d, k[3])
	}
	return min(a, b, c, d)
}

// merge merges the part at a key's position with the next one.
func (m *merger) merge(v *vocab, key uint32, n int) {
	i, id := key%maxMerged, key>>posBits
	gone := m.next[i] % maxMerged
	after := m.next[gone]
	m.ids[i], m.next[i] = id, after
	m.keys[gone], m.keys[i] = noKey, noKey
	if int(after) < n {
		m.prev[after] = uint8(i)
		m.keys[i] = v.pairs.key(id, m.ids[after%maxMerged], i)
	}
	if i > 0 {
		before := uint32(m.prev[i]) % maxMerged
		m.keys[before] = v.pairs.key(m.ids[before], id, before)
	}
}

// key is the key of two neighbours of which the first is at position i.
func (p *pairs) key(a, b, i uint32) uint32 {
	if t, ok := p.find(a, b); ok {
		return t<<posBits | i
	}
	return noKey
}
