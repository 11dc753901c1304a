package bpe

import "math/bits"

// A backtracker finds the encoding of a piece from left to right, in time linear in its length: it takes the longest
// token that is compatible with the one before, and where there is none it gives up the border before that, for good.
// That this ends with the tokens that merging by rank gives is shown by van Antwerpen and Neubeck, "So many tokens, so
// little time" (GitHub engineering, 2024).
//
// It keeps two bits for each byte. The tokens themselves are found again in the trie when it goes back.
type backtracker struct {
	v      *vocab
	starts bitset // where the tokens chosen so far begin
	dead   bitset // borders given up
	// known remembers the answers of compatible: left<<18 | right | answer<<36, a direct-mapped table. Runs of one
	// character ask the same few questions over and over.
	known [1 << knownBits]uint64
	// again is, for a byte, the last long token that was seen to follow itself in a run of it.
	again [256]uint32
}

const (
	knownBits = 10
	asked     = 1 << (2 * tokenBits)
	yes       = 2 * asked
	long      = 16 // bytes of a long token
)

// count returns the number of tokens of p, which is not empty.
func (b *backtracker) count(p []byte) int {
	b.starts, b.dead = b.starts.reset(len(p)+1), b.dead.reset(len(p)+1)
	tokens := b.v.tokens
	n, pos, last, next := 0, 0, uint32(none), b.first(p)
	for {
		t := tokens[next]
		end := pos + t.len()
		switch {
		case !b.dead.has(end) && (last == none || b.compatible(last, next)):
			b.starts.set(pos)
			n++
			if end == len(p) {
				return n
			}
			if next == last && t.len() >= long && p[pos] == p[pos+1] {
				b.again[p[pos]] = next
			}
			pos, last, next = end, next, b.first(p[end:])
		case t.prefix() != next:
			next = t.prefix()
		default:
			b.dead.set(pos)
			n--
			pos -= tokens[last].len()
			b.starts.clear(pos)
			last, next = b.before(p, pos), b.resume(last, p[pos:])
		}
	}
}

// first returns the token to try first on the text p: the longest, as a rule. Of a run of one character the vocabulary
// has many lengths, of which one is right nearly always, and the longest is not it.
func (b *backtracker) first(p []byte) uint32 {
	longest := b.v.longest(p)
	guess := b.again[p[0]]
	for t := longest; b.v.tokens[t].len() >= long; t = b.v.tokens[t].prefix() {
		if t == guess {
			return guess
		}
	}
	return longest
}

// resume returns the token to go on from where the text p was given up after token t: t, unless t was only a guess.
func (b *backtracker) resume(t uint32, p []byte) uint32 {
	if b.v.tokens[t].len() >= long {
		return b.v.longest(p)
	}
	return t
}

const none = 1<<32 - 1

// before returns the chosen token that ends at pos.
func (b *backtracker) before(p []byte, pos int) uint32 {
	if pos == 0 {
		return none
	}
	return b.v.longest(p[b.starts.before(pos):pos])
}

func (b *backtracker) compatible(left, right uint32) bool {
	key := uint64(left)<<tokenBits | uint64(right) | asked
	e := &b.known[hash(key)>>(64-knownBits)]
	if *e&^yes != key {
		*e = key
		if b.v.compatible(left, right) {
			*e |= yes
		}
	}
	return *e&yes != 0
}

type bitset []uint64

// reset returns an empty set for numbers below n, in the memory of s if that is large enough.
func (s bitset) reset(n int) bitset {
	words := (n + 63) / 64
	if words > cap(s) {
		return make(bitset, words)
	}
	s = s[:words]
	clear(s)
	return s
}

func (s bitset) has(i int) bool { return s[i/64]>>(i%64)&1 != 0 }
func (s bitset) set(i int)      { s[i/64] |= 1 << (i % 64) }
func (s bitset) clear(i int)    { s[i/64] &^= 1 << (i % 64) }

// before returns the largest member below i. There is one.
func (s bitset) before(i int) int {
	word := i / 64
	w := s[word] & (1<<(i%64) - 1)
	for w == 0 {
		word--
		w = s[word]
	}
	return word*64 + bits.Len64(w) - 1
}

// append appends the tokens that count chose in p.
func (b *backtracker) append(tokens []uint32, p []byte) []uint32 {
	for pos := 0; pos < len(p); {
		end := b.starts.after(pos, len(p))
		tokens = append(tokens, b.v.longest(p[pos:end]))
		pos = end
	}
	return tokens
}

// after returns the smallest member above i, or n if there is none below it.
func (s bitset) after(i, n int) int {
	for i++; i < n && !s.has(i); i++ {
	}
	return i
}
