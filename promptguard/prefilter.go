package promptguard

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf8"
)

// The prefilter knows bytes by 32 classes: letters of either case together with the digits and signs that stand for them in
// disguised writing, and a few groups of signs. Three classes make a trigram of 15 bits.
const (
	classBits  = 5
	classMask  = 1<<classBits - 1
	trigrams   = 1 << (3 * classBits)
	digitFlag  = 1 << 20 // of the last byte; five bits higher for each byte before
	digitPairs = digitFlag | digitFlag<<classBits

	classPlus  = 'l' - 'a' // l is written as i, so its place is free
	classColon = 26
	classDot   = 27
	classDash  = 28
	classSpace = 29
	classAt    = 30 // what is used in place of a
	classOther = 31
)

var classTable = func() (t [256]uint32) {
	for c := range 256 {
		switch {
		case c >= 'a' && c <= 'z':
			t[c] = uint32(c - 'a')
		case c >= 'A' && c <= 'Z':
			t[c] = uint32(c - 'A')
		case c >= 0x80:
			t[c] = uint32(c) & classMask
		default:
			t[c] = classOther
		}
	}
	for from, to := range map[byte]byte{'l': 'i', 'L': 'i', '1': 'i', '!': 'i', '|': 'i', '0': 'o', '3': 'e', '4': 'a', '@': 'a',
		'5': 's', '$': 's', '7': 't', '2': 'z', '6': 'g', '8': 'b', '9': 'q'} {
		t[from] = uint32(to - 'a')
	}
	for c, class := range map[byte]uint32{'+': classPlus, ':': classColon, '.': classDot, '-': classDash, '_': classDash,
		' ': classSpace, '\n': classSpace, '\t': classSpace, '\r': classSpace} {
		t[c] = class
	}
	for c := '0'; c <= '9'; c++ {
		t[c] |= digitFlag
	}
	return t
}()

func fold(c byte) byte { return byte(classTable[c] & classMask) }

// An entry says what a trigram may be part of.
type entry struct {
	next    uint32 // of the same trigram; 0 is none
	literal uint32
	cue     cue
	offset  uint8 // of the trigram in the literal, or of the sign in the trigram
}

type literal struct {
	folded    string
	detectors []int
	whole     bool // none of them finds anything after a letter or digit
}

// prefilter finds the places where detectors are to be asked.
type prefilter struct {
	bits     [trigrams / 64]uint64
	slots    [trigrams]uint16 // by trigram: its place in known
	known    []slot           // the first is unused
	entries  []entry          // the first is unused
	literals []literal
	index    map[string]int // of literals, while they are added
	digits   uint32         // digitPairs, or nothing when no detector asks
}

// A slot is what is known of a trigram: the classes that may come before and after it, as bits, and its first entry.
type slot struct {
	before, after uint32
	first         uint32
}

// least is the length of the shortest literal: two trigrams, one of each parity.
const least = 4

func newPrefilter(dets []detector) *prefilter {
	p := &prefilter{entries: make([]entry, 1), known: make([]slot, 1), index: map[string]int{}}
	var wanted [cues]bool
	for i, d := range dets {
		wanted[d.cue] = true
		for _, l := range d.literals {
			p.addLiteral(l, i, d.whole)
		}
	}
	if wanted[cueDigits] {
		p.digits = digitPairs
	}
	p.addSigns(wanted)
	p.index = nil
	return p
}

// addLiteral enters the rarest trigram that begins at an even place of a literal and the rarest at an odd one: whichever
// positions the scan looks at, it sees one of them, and only one.
func (p *prefilter) addLiteral(text string, detector int, whole bool) {
	folded := make([]byte, len(text))
	for i := range folded {
		folded[i] = fold(text[i])
	}
	if known, ok := p.index[string(folded)]; ok {
		l := &p.literals[known]
		if l.whole = l.whole && whole; !slices.Contains(l.detectors, detector) {
			l.detectors = append(l.detectors, detector)
		}
		return
	}
	p.index[string(folded)] = len(p.literals)
	p.literals = append(p.literals, literal{string(folded), []int{detector}, whole})
	for parity := range 2 {
		best := parity
		for i := parity; i+2 < len(folded); i += 2 {
			if rarity(folded[i:i+3]) > rarity(folded[best:best+3]) {
				best = i
			}
		}
		before, after := anyClass, anyClass
		if best > 0 {
			before = 1 << folded[best-1]
		}
		if best+3 < len(folded) {
			after = 1 << folded[best+3]
		}
		p.enter(trigram(folded[best:]), entry{literal: uint32(len(p.literals) - 1), offset: uint8(best)}, before, after)
	}
}

func trigram(folded []byte) uint32 {
	return uint32(folded[0])<<10 | uint32(folded[1])<<5 | uint32(folded[2])
}

const anyClass = ^uint32(0)

func (p *prefilter) enter(t uint32, e entry, before, after uint32) {
	if p.slots[t] == 0 {
		p.slots[t] = uint16(len(p.known))
		p.known = append(p.known, slot{})
		p.bits[t>>6] |= 1 << (t & 63)
	}
	k := &p.known[p.slots[t]]
	e.next, k.first = k.first, uint32(len(p.entries))
	k.before |= before
	k.after |= after
	p.entries = append(p.entries, e)
}

// frequent are the letters of English, the most frequent first, and usual its most frequent trigrams.
const (
	frequent = "etaoinsrhdlucmfywgpbvkxqjz"
	usual    = " the and ing ion tio ent ati for her ter hat tha ere ate his con res ver all ons nce men ith ted ers pro thi wit are ess not " +
		"ive was ect rea com eve per int est sta cti ica ist ear ain one our iti rat str out ble rep ple ome low tur eri ide abl nte ine "
)

// rarity guesses how seldom a trigram is: by its letters, by how usual it is; and spaces are everywhere.
func rarity(folded []byte) int {
	sum := 0
	var text [3]byte
	for i, c := range folded {
		rank := 40
		for k := range len(frequent) {
			if fold(frequent[k]) == c {
				rank, text[i] = k, frequent[k]
				break
			}
		}
		if c == classSpace {
			rank = -20
		}
		sum += rank
	}
	if strings.Contains(usual, string(text[:])) {
		sum -= 40
	}
	return sum
}

// addSigns enters the trigrams of the signs between digits: the sign in the middle, or first.
func (p *prefilter) addSigns(wanted [cues]bool) {
	digit := func(c byte) bool { return is(c, isDigit) }
	hex := func(c byte) bool { return is(c, isHex) }
	hexOrColon := func(c byte) bool { return is(c, isHex) || c == ':' }
	any := func(byte) bool { return true }
	p.addSign(wanted[cueDot], cueDot, '.', digit, digit, any)
	p.addSign(wanted[cueColon], cueColon, ':', any, hexOrColon, any)
	p.addSign(wanted[cueDash], cueDash, '-', hex, hex, any)
	p.addSign(wanted[cuePlus], cuePlus, '+', any, digit, any)
}

func (p *prefilter) addSign(wanted bool, c cue, sign byte, before, after, then func(byte) bool) {
	if !wanted {
		return
	}
	mid, lead := map[uint32]bool{}, map[uint32]bool{}
	for a := range 256 {
		for b := range 256 {
			if before(byte(a)) && after(byte(b)) {
				mid[trigram([]byte{fold(byte(a)), fold(sign), fold(byte(b))})] = true
			}
			if after(byte(a)) && then(byte(b)) {
				lead[trigram([]byte{fold(sign), fold(byte(a)), fold(byte(b))})] = true
			}
		}
	}
	for t := range mid {
		p.enter(t, entry{cue: c, offset: 1}, anyClass, anyClass)
	}
	for t := range lead {
		p.enter(t, entry{cue: c}, anyClass, anyClass)
	}
}

// scan calls the detectors of s wherever one of them may find something in v from an offset on.
func (p *prefilter) scan(s *scan, from int) {
	b := s.v.b
	if len(b) < from+3 {
		p.pairs(s, from)
		return
	}
	t := classTable[b[from]]
	bits, pairs := &p.bits, p.digits
	i := from
	for ; i+2 < len(b); i += 2 {
		t = t&(digitFlag|classMask)<<(2*classBits) | classTable[b[i+1]]<<classBits | classTable[b[i+2]]
		if bits[t%trigrams>>6]>>(t&63)&1|uint64(t&(t>>classBits)&pairs) != 0 {
			p.hit(s, t, i)
		}
	}
	p.pairs(s, i-1)
}

// pairs looks for digits in the last bytes, that no trigram covers.
func (p *prefilter) pairs(s *scan, from int) {
	b := s.v.b
	for i := max(from, 0); p.digits != 0 && i+1 < len(b); i++ {
		if is(b[i], isDigit) && is(b[i+1], isDigit) {
			s.digits(i)
		}
	}
}

func (p *prefilter) hit(s *scan, t uint32, i int) {
	if pair := t & (t >> classBits) & p.digits; pair != 0 {
		if pair&(digitFlag<<classBits) != 0 {
			s.digits(i)
		}
		if pair&digitFlag != 0 {
			s.digits(i + 1)
		}
	}
	k := &p.known[p.slots[t%trigrams]]
	if i > 0 && k.before>>fold(s.v.b[i-1])&1 == 0 || i+3 < len(s.v.b) && k.after>>fold(s.v.b[i+3])&1 == 0 {
		return
	}
	for n := k.first; n != 0; n = p.entries[n].next {
		e := &p.entries[n]
		if e.cue != cueLiteral {
			s.sign(e.cue, i+int(e.offset))
			continue
		}
		l := &p.literals[e.literal]
		at := i - int(e.offset)
		if at < 0 || l.whole && s.v.before(at, isAlnum) || !p.matches(l.folded, s.v.b[at:]) {
			continue
		}
		for _, d := range l.detectors {
			s.ask(d, at)
		}
	}
}

func (p *prefilter) matches(folded string, b []byte) bool {
	if len(b) < len(folded) {
		return false
	}
	for i := range len(folded) {
		if fold(b[i]) != folded[i] {
			return false
		}
	}
	return true
}

// ats calls the detectors that ask for the sign @.
func ats(s *scan, from int) {
	for i := from; ; i++ {
		next := bytes.IndexByte(s.v.b[i:], '@')
		if next < 0 {
			return
		}
		i += next
		s.sign(cueAt, i)
	}
}

// wide calls the detectors that ask for long runs of letters and digits, and those that ask for characters that hide words: both
// look at eight bytes at a time. Every run of 23 holds two such words of eight, whatever their alignment; the first of them tells
// where it starts.
func wide(s *scan, from int) {
	b := s.v.b
	last, odd := -8, from
	i := from
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		if x&tops != 0 && odd < i+8 {
			odd = s.hidden(max(odd, i), i+8)
		}
		if !solid(x) {
			continue
		}
		if last+8 == i {
			if start := s.v.back(last, 8, isAlnum); last-start < 8 {
				s.sign(cueRun, start)
			}
		}
		last = i
	}
	s.hidden(max(odd, i), len(b))
}

const (
	ones = 0x0101010101010101
	tops = 0x80 * ones
)

// solid says whether none of eight bytes is below '+', as spaces and most punctuation are, or above 0x7f.
func solid(x uint64) bool { return ((x-'+'*ones)|x)&tops == 0 }

// hidden calls the detectors that ask for characters that hide words, in a part of the text. It returns where the last
// character that it looked at ends.
func (s *scan) hidden(i, end int) int {
	if len(s.set.byCue[cueOdd]) == 0 {
		return end
	}
	for i < end {
		if s.v.b[i] < utf8.RuneSelf {
			i++
			continue
		}
		if n := s.v.innocent(i); n > 0 {
			i += n
			continue
		}
		r, size := utf8.DecodeRune(s.v.b[i:])
		if hides(&s.v, i, r, size) {
			if start := hiddenStart(&s.v, i); start != s.odd && i-start < maxRaw {
				s.odd = start
				s.sign(cueOdd, start)
			}
		}
		i += size
	}
	return i
}

// innocent is the length of a character of three bytes in a part of Unicode without any that hides words, U+3000 to U+D7FF, where
// Chinese, Japanese and Korean are; 0 for others.
func (v *view) innocent(i int) int {
	if c := v.b[i]; c < 0xE3 || c > 0xED || i+2 >= len(v.b) || v.b[i+1]&0xC0 != 0x80 || v.b[i+2]&0xC0 != 0x80 {
		return 0
	}
	return 3
}
