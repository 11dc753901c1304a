package simulator

import (
	"encoding/binary"
	"unicode/utf8"
)

// maxPiece is the most bytes of a word that go into one piece.
const maxPiece = 16

// piece returns the length of the first piece of text: the spaces before a word and up to maxPiece bytes of the word. A
// piece is what one event of a stream carries, and by default one token.
func piece(text []byte) int {
	i := 0
	for i < len(text) && text[i] <= ' ' {
		i++
	}
	start, end := i, min(len(text), i+maxPiece)
	for i < end && text[i] > ' ' {
		i++
	}
	for back := i; i < len(text) && back > start && i-back < utf8.UTFMax; back-- {
		if utf8.RuneStart(text[back]) {
			return back
		}
	}
	return i
}

// CountWords is the default token count: one for each word, and one more for each further 16 bytes of a long word.
func CountWords(text []byte) int {
	n := 0
	for len(text) > 0 {
		text = text[piece(text):]
		n++
	}
	return n
}

// random is a splitmix64 generator: the same seed gives the same answer everywhere.
type random uint64

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	x := uint64(*r)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below returns a number in [0, n).
func (r *random) below(n int) int { return int(r.next() % uint64(n)) }

// hash mixes b into the seed h, eight bytes at a time.
func hash(h uint64, b []byte) uint64 {
	const prime = 0x9fb21c651e98df25
	h ^= uint64(len(b))
	for ; len(b) >= 8; b = b[8:] {
		h = (h ^ binary.LittleEndian.Uint64(b)) * prime
		h ^= h >> 29
	}
	for _, c := range b {
		h = (h ^ uint64(c)) * prime
	}
	return h ^ h>>32
}

// word returns one word of the vocabulary.
func (r *random) word() string {
	words := [...]string{
		"river", "gateway", "quiet", "model", "carries", "light", "across", "many", "bridges", "before", "morning", "and",
		"each", "stream", "finds", "a", "path", "between", "mountains", "of", "patient", "stone", "while", "lanterns",
		"follow", "the", "slow", "current", "toward", "open", "water", "where", "small", "boats", "return", "with",
		"letters", "from", "distant", "harbours", "that", "nobody", "has", "read", "yet", "in", "simple", "words",
		"about", "rain", "bamboo", "paper", "bells", "gardens", "clouds", "cranes", "ink", "tea", "wind", "snow",
		"under", "an", "autumn", "moon",
	}
	return words[r.next()%uint64(len(words))]
}

// appendWords appends n words as sentences.
func (r *random) appendWords(dst []byte, n int) []byte {
	left := 0
	for i := range n {
		if i > 0 {
			dst = append(dst, ' ')
		}
		start := len(dst)
		dst = append(dst, r.word()...)
		if left == 0 {
			dst[start] -= 'a' - 'A'
			left = 6 + r.below(9)
		}
		if left--; left == 0 || i == n-1 {
			dst = append(dst, '.')
			left = 0
		}
	}
	return dst
}

// appendBytes appends exactly n bytes of sentences.
func (r *random) appendBytes(dst []byte, n int) []byte {
	end := len(dst) + n
	for len(dst) < end {
		dst = append(r.appendWords(dst, 16), ' ')
	}
	return dst[:end]
}

// appendID appends n letters and digits.
func (r *random) appendID(dst []byte, n int) []byte {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for range n {
		dst = append(dst, letters[r.next()%uint64(len(letters))])
	}
	return dst
}
