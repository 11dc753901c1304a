package bpe

import "math/bits"

// A backtracker finds the encoding of a piece from left to right, in time linear in its length: it takes the longest
// token that is compatible with the one before, and where there is none it gives up the border before that, for good.
// That this ends with the tokens that merging by rank gives is shown by van Antwerpen and Neubeck, "So many tokens, so
// little time" (GitHub engineering, 2024).
//
// It keeps two bits for each byte. The tokens themselves are found again in the trie when it goes back.
type backtracker struct {
	starts bitset // where the tokens chosen so far begin
	dead   bitset // borders given up
}

// count returns the number of tokens of p. It assumes that p is not empty.
func (b *backtracker) count(v *vocab, p []byte) int {
	b.starts, b.dead = b.starts.reset(len(p)+1), b.dead.reset(len(p)+1)
	const none = 1<<32 - 1
	n, pos := 0, 0
	last, next := uint32(none), v.longest(p)
	for {
		end := pos + v.tokens[next].len()
		switch {
		case !b.dead.has(end) && (last == none || v.compatible(last, next)):
			b.starts.set(pos)
			n++
			if end == len(p) {
				return n
			}
			pos, last = end, next
			next = v.longest(p[pos:])
		case end > pos+1:
			next = v.longest(p[pos : end-1])
		default:
			b.dead.set(pos)
			n--
			next = last
			pos -= v.tokens[last].len()
			b.starts.clear(pos)
			last = none
			if n > 0 {
				last = v.longest(p[b.starts.before(pos):pos])
			}
		}
	}
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
