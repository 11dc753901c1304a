package bpe

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// A worker counts for one caller at a time. What it remembers depends on its vocabulary and pattern alone.
type worker struct {
	v     *vocab
	short [1 << 14]uint64   // memo of pieces of 1 to 7 bytes: bytes | count<<56 | len<<60, a direct-mapped table
	mid   [1 << 13]midEntry // memo of pieces of 8 to 15 bytes
	long  backtracker
	valid []byte // text whose invalid bytes are replaced
}

type midEntry struct {
	lo, hi uint64 // bytes of the piece; the highest byte of hi is its length
	count  uint64
}

const maxKept = 1 << 16 // bytes of scratch that a worker keeps for its next caller

// piece returns the number of tokens of t[i:end], which the splitter cut.
func (w *worker) piece(t []byte, i, end int) int {
	switch n := end - i; {
	case n < 8:
		return w.shortPiece(t, i, n)
	case n < 16:
		return w.midPiece(t, i, n)
	default:
		return w.count(t[i:end])
	}
}

func (w *worker) shortPiece(t []byte, i, n int) int {
	key := load8(t, i)<<(64-8*n)>>(64-8*n) | uint64(n)<<60
	e := &w.short[hash(key)>>(64-14)]
	const countBits = 0xF << 56
	if *e&^countBits == key {
		return int(*e >> 56 & 0xF)
	}
	count := w.count(t[i : i+n])
	*e = key | uint64(count)<<56
	return count
}

func (w *worker) midPiece(t []byte, i, n int) int {
	lo := load8(t, i)
	hi := load8(t, i+8)<<(128-8*n)>>(128-8*n) | uint64(n)<<56
	e := &w.mid[hash(lo^bits.RotateLeft64(hi, 29))>>(64-13)]
	if e.lo == lo && e.hi == hi {
		return int(e.count)
	}
	count := w.count(t[i : i+n])
	*e = midEntry{lo, hi, uint64(count)}
	return count
}

// load8 returns the eight bytes at t[i], zeros past the end.
func load8(t []byte, i int) uint64 {
	if i+8 <= len(t) {
		return binary.LittleEndian.Uint64(t[i:])
	}
	var b [8]byte
	if i < len(t) {
		copy(b[:], t[i:])
	}
	return binary.LittleEndian.Uint64(b[:])
}

func hash(x uint64) uint64 { return x * 0x9E3779B97F4A7C15 }

// count returns the number of tokens of a piece without a look at the memos.
func (w *worker) count(p []byte) int {
	if w.v.whole(p) {
		return 1
	}
	return w.long.count(w.v, p)
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
	if cap(w.valid) > maxKept {
		w.valid = nil
	}
	if cap(w.long.starts) > maxKept/8 {
		w.long = backtracker{}
	}
}
