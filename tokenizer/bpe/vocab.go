package bpe

import "math"

// A vocab is the tables of one vocabulary. A token's id is its rank: the lower of two possible merges goes first.
// It is read-only once loaded.
type vocab struct {
	tokens []token
	slots  []slot // double array: child c of a node with base b is slots[b^c], the root's base is 0
	pairs  *pairs
	// bytes is the token of each byte, first the token of each two bytes (the first one <<8), noToken if
	// there is none.
	bytes [256]uint8
	first [1 << 16]uint32
}

// A token is its two halves, the tokens that merge into it, the longest token that is a proper prefix of it (each itself
// if it is a byte), and its length in bytes: left | right<<18 | prefix<<36 | length<<54.
type token uint64

const (
	tokenBits = 18
	lenAt     = 3 * tokenBits
	tokenMask = 1<<tokenBits - 1
)

func (t token) left() uint32   { return uint32(t & tokenMask) }
func (t token) right() uint32  { return uint32(t >> tokenBits & tokenMask) }
func (t token) prefix() uint32 { return uint32(t >> (2 * tokenBits) & tokenMask) }
func (t token) len() int       { return int(t >> lenAt) }

// A slot is a node of the trie of all tokens.
type slot struct {
	node  uint32 // base<<9 | occupied | label; a base of 0 marks a leaf
	token uint32 // id+1 of the token that ends here, or 0
}

const (
	occupied  = 1 << 8
	labelBits = 9
)

// step returns the child c of the node with that base. A leaf that it returns has base 0.
func (v *vocab) step(base uint32, c byte) (next, token uint32, ok bool) {
	s := v.slots[base^uint32(c)]
	return s.node >> labelBits, s.token, s.node&(1<<labelBits-1) == occupied|uint32(c)
}

// longest returns the longest token that t begins with. Every byte is a token.
func (v *vocab) longest(t []byte) uint32 {
	var base, found uint32
	for _, c := range t {
		next, tok, ok := v.step(base, c)
		if !ok {
			break
		}
		if tok != 0 {
			found = tok
		}
		if base = next; base == 0 {
			break
		}
	}
	return found - 1
}

// whole says whether p is one token.
func (v *vocab) whole(p []byte) bool {
	return v.tokens[v.longest(p)].len() == len(p)
}

// compatible says whether a text made of the tokens a and b is encoded as a, b. A sequence of tokens is the encoding of
// its text if and only if this holds for each two neighbours: it undoes the merges on both sides of the border, latest
// first, and looks whether a merge across the border would have come before.
func (v *vocab) compatible(a, b uint32) bool {
	limit := uint32(math.MaxUint32)
	for {
		if m, ok := v.pairs.find(a, b); ok && m < limit {
			return false
		}
		ar, bl := v.tokens[a].right(), v.tokens[b].left()
		switch {
		case a > b && ar != a:
			limit, a = a, ar
		case bl != b:
			limit, b = b+1, bl
		case ar != a:
			limit, a = a, ar
		default:
			return true
		}
	}
}

// pairs is an open-addressed table from two tokens to the token that they merge into. An entry is left<<36 | right<<18 |
// merged; no pair merges into a byte, so no entry is 0.
type pairs struct {
	entries []uint64
	shift   uint8
	// seen has a bit for each of the first bits of the hash of a pair. Most questions are about pairs that do not
	// merge; this answers nine of ten of them from a cache, which the table is too large for.
	seen [1 << (seenBits - 6)]uint64
}

const seenBits = 21

func (p *pairs) find(a, b uint32) (merged uint32, ok bool) {
	key := uint64(a)<<tokenBits | uint64(b)
	h := hash(key)
	if bit := h >> (64 - seenBits); p.seen[bit>>6]>>(bit&63)&1 == 0 {
		return 0, false
	}
	mask := uint64(len(p.entries) - 1)
	for i := h >> p.shift; ; i++ {
		e := p.entries[i&mask]
		if e>>tokenBits == key {
			return uint32(e & tokenMask), e != 0
		}
		if e == 0 {
			return 0, false
		}
	}
}

func (p *pairs) add(a, b, merged uint32) {
	key := uint64(a)<<tokenBits | uint64(b)
	h := hash(key)
	bit := h >> (64 - seenBits)
	p.seen[bit>>6] |= 1 << (bit & 63)
	mask := uint64(len(p.entries) - 1)
	i := h >> p.shift
	for p.entries[i&mask] != 0 {
		i++
	}
	p.entries[i&mask] = key<<tokenBits | uint64(merged)
}

func newPairs(n int) *pairs {
	shift := uint8(63)
	for 1<<(64-shift) < 2*n {
		shift--
	}
	return &pairs{entries: make([]uint64, 1<<(64-shift)), shift: shift}
}
