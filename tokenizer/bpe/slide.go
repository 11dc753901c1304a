package bpe

import "math/bits"

// A slider encodes a long piece through windows. The tokens of a window are right but for those near its end, which what
// follows may change; so only those well before the end are taken, and the next window begins behind them. Tokens are the
// encoding if each two neighbours are compatible, which leaves one question at each window. Where the answer is no, the
// last tokens are given back, a few at a time.
//
// A narrow window is merged, which on text of short tokens, as long words of random letters, is twice as fast as the
// backtracker. Where tokens are longer, or giving back does not help, a wide window is the backtracker's. If that does not
// help either, or windows get too many, the backtracker goes over the whole piece: the time is linear in any case.
type slider struct {
	merger
	v    *vocab
	back *backtracker
	// taken are the last tokens taken, the newest at the end; n is how many were taken in all.
	taken []uint32
	n     int
	// encoded are the tokens of a window.
	encoded []uint32
}

const (
	wideFrom, wideTo = 128, 1024 // bytes of a wide window: it grows
	maxGiven         = 8         // tokens given back at once
	longToken        = 4         // bytes of tokens, on average, for which a wide window is faster
)

// count returns the number of tokens of p.
func (s *slider) count(p []byte) int {
	s.taken, s.n = s.taken[:0], 0
	size, given := maxMerged, 0
	for pos, budget := 0, 16+len(p)/8; budget > 0; budget-- {
		end := min(pos+size, len(p))
		s.encode(p[pos:end])
		switch {
		case pos == 0 || s.back.compatible(s.taken[len(s.taken)-1], s.encoded[0]):
			if end == len(p) {
				return s.n + len(s.encoded)
			}
			pos, given = pos+s.take(end-pos), 0
			size = next(size, len(s.encoded))
		case given == maxGiven || len(s.taken) < 2:
			if size >= wideTo {
				return s.back.count(p)
			}
			size, given = wideTo, 0
		default:
			given++
			pos -= s.give()
		}
	}
	return s.back.count(p)
}

// next is the size of the window after one of a size that had so many tokens.
func next(size, tokens int) int {
	switch {
	case size < tokens*longToken:
		return maxMerged
	case size == maxMerged:
		return wideFrom
	}
	return min(2*size, wideTo)
}

// wide says whether most of p are characters of several bytes, whose tokens are long enough for the backtracker.
func wide(p []byte) bool {
	n := 0
	for i := 0; i < len(p); i += 8 {
		n += bits.OnesCount64(load8(p, i) & high)
	}
	return 2*n > len(p)
}

// encode encodes a window.
func (s *slider) encode(p []byte) {
	if len(p) <= maxMerged {
		s.merger.count(s.v, p)
		s.encoded = s.merger.append(s.encoded[:0], len(p))
		return
	}
	s.back.count(p)
	s.encoded = s.back.append(s.encoded[:0], p)
}

// take takes the tokens of a window of so many bytes but for the last eighth, at least one, and returns their bytes.
func (s *slider) take(size int) (bytes int) {
	i := 0
	for i == 0 || bytes < size*7/8 {
		bytes += s.v.tokens[s.encoded[i]].len()
		i++
	}
	s.n += i
	s.taken = append(s.taken, s.encoded[:i]...)
	if over := len(s.taken) - 2*maxGiven; over > 0 {
		s.taken = append(s.taken[:0], s.taken[over:]...)
	}
	return bytes
}

// give gives the last token back, and returns its bytes.
func (s *slider) give() int {
	last := len(s.taken) - 1
	t := s.taken[last]
	s.taken, s.n = s.taken[:last], s.n-1
	return s.v.tokens[t].len()
}
