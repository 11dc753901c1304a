package bpe

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// A worker counts for one caller at a time. What it remembers depends on its encoding alone.
type worker struct {
	split splitter
	quick func(x uint64) int
	short [1 << shortBits]uint64  // memo of pieces of 1 to 7 bytes: bytes | count<<56 | length<<60, direct-mapped
	mid   [1 << midBits][2]uint64 // memo of pieces of 8 to 15 bytes, likewise
	runs  [1 << runBits][2]uint64 // memo of longer runs of one byte: length<<8 | byte, count
	slide slider
	long  backtracker
	valid []byte // text whose invalid bytes are replaced
}

func newWorker(e *Encoding) *worker {
	w := &worker{split: e.split, quick: e.quick, long: backtracker{v: e.v}}
	w.slide.v, w.slide.back = e.v, &w.long
	w.slide.taken, w.slide.encoded = make([]uint32, 0, 2*maxGiven+wideTo), make([]uint32, 0, wideTo)
	return w
}

const (
	shortBits, midBits, runBits = 15, 14, 9
	countAt, lengthAt           = 56, 60
	countMask                   = 0xF << countAt
)

const maxKept = 1 << 20 // bytes of text for which a worker keeps scratch for its next caller

// text returns the number of tokens of t, which is valid UTF-8.
func (w *worker) text(t []byte) (n int) {
	for i := 0; i < len(t); {
		if i+8 <= len(t) {
			x := binary.LittleEndian.Uint64(t[i:])
			if short := w.quick(x); short > 0 {
				n += w.shortPiece(x, t[i:i+short])
				i += short
				continue
			}
		}
		end := w.split(t, i)
		n += w.piece(t, i, end)
		i = end
	}
	return n
}

// piece returns the number of tokens of t[i:end], which the splitter cut.
func (w *worker) piece(t []byte, i, end int) int {
	switch n := end - i; {
	case n < 8:
		return w.shortPiece(load8(t, i), t[i:end])
	case n < 16:
		return w.midPiece(t, i, n)
	default:
		return w.longPiece(t[i:end])
	}
}

// shortPiece is piece for p of less than eight bytes, which are the first of x.
func (w *worker) shortPiece(x uint64, p []byte) int {
	n := len(p)
	key := x&(1<<(8*n&63)-1) | uint64(n)<<lengthAt
	e := &w.short[hash(key)>>(64-shortBits)]
	if *e&^countMask == key {
		return int(*e & countMask >> countAt)
	}
	count := w.count(p)
	*e = key | uint64(count)<<countAt
	return count
}

func (w *worker) midPiece(t []byte, i, n int) int {
	lo := load8(t, i)
	hi := load8(t, i+8)&(1<<(8*n&63)-1) | uint64(n)<<lengthAt
	e := &w.mid[hash(lo^bits.RotateLeft64(hi, 29))>>(64-midBits)]
	if e[0] == lo && e[1]&^countMask == hi {
		return int(e[1] & countMask >> countAt)
	}
	count := w.count(t[i : i+n])
	e[0], e[1] = lo, hi|uint64(count)<<countAt
	return count
}

// longPiece remembers nothing but runs of one byte: indentation, rulers, blank lines.
func (w *worker) longPiece(p []byte) int {
	if p[0] != p[1] || !bytes.Equal(p[1:], p[:len(p)-1]) {
		return w.count(p)
	}
	key := uint64(len(p))<<8 | uint64(p[0])
	e := &w.runs[hash(key)>>(64-runBits)]
	if e[0] != key {
		e[0], e[1] = key, uint64(w.count(p))
	}
	return int(e[1])
}

// load8 returns the eight bytes at t[i], zeros past the end.
func load8(t []byte, i int) uint64 {
	if i+8 <= len(t) {
		return binary.LittleEndian.Uint64(t[i:])
	}
	return loadTail(t[min(i, len(t)):])
}

func loadTail(t []byte) uint64 {
	var b [8]byte
	copy(b[:], t)
	return binary.LittleEndian.Uint64(b[:])
}

func hash(x uint64) uint64 { return x * 0x9E3779B97F4A7C15 }

// count returns the number of tokens of a piece without a look at the memos.
func (w *worker) count(p []byte) int {
	if w.long.v.whole(p) {
		return 1
	}
	switch {
	case wide(p):
		return w.long.count(p)
	case len(p) > maxMerged:
		return w.slide.count(p)
	}
	return w.slide.merger.count(w.long.v, p)
}

// replaceInvalid returns t with U+FFFD in place of each byte that is not part of a valid UTF-8 sequence.
func (w *worker) replaceInvalid(t []byte) []byte {
	w.valid = w.valid[:0]
	for i := 0; i < len(t); {
		r, n := utf8.DecodeRune(t[i:])
		w.valid = utf8.AppendRune(w.valid, r)
		i += n
	}
	return w.valid
}

// release drops scratch that only an unusually large text needs.
func (w *worker) release() {
	if cap(w.valid) > maxKept/4 {
		w.valid = nil
	}
	if cap(w.long.starts) > maxKept/64 {
		w.long.starts, w.long.dead = nil, nil
	}
}
