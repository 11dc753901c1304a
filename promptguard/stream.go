package promptguard

import (
	"context"
	"slices"
)

// A Stream guards a text that comes in pieces, and restores masked values in it. Whatever its pieces, what it lets go and
// finds is the same. It holds back only what could still become a match or a placeholder. One goroutine at a time may use it.
//
// Its memory is bounded by the longest match of its rules, at most 8 KiB, together with what it remembers before it (128
// bytes), the largest piece pushed, and 8 bytes for each detector: below 64 KiB with all of them, however long the text.
type Stream struct {
	set   *Set
	vault *Vault

	buf     []byte // the text from base on
	base    int
	from    int // what starts before was judged; offsets of the text, as the next two
	out     int // what comes before was let go, or replaced
	scanned int
	ends    []int
	tally   tally
	blocked bool

	findings []Finding // of one push
	masked   []byte
	restorer restorer
	released []byte
}

// NewStream returns a Stream that applies the rules of a set, where set is not nil, and puts the vault's values back, where
// restore is true. Rules are applied to what comes in, so values that are put back are not masked again. A vault is needed
// for either.
func NewStream(set *Set, vault *Vault, restore bool) *Stream {
	s := &Stream{set: set, vault: vault}
	if set != nil {
		s.ends = make([]int, len(set.detectors))
	}
	if restore {
		s.restorer.vault = vault
	}
	return s
}

// Push takes the next piece of the text. It returns what may be passed on now, which is valid until the next call, and what
// became certain: findings have offsets in the whole text that was pushed. After a Block nothing more is released, and Push
// returns ErrBlocked.
func (s *Stream) Push(ctx context.Context, delta []byte) (release []byte, v Verdict, err error) {
	return s.push(ctx, delta, false)
}

// Close ends the text and returns what was held back.
func (s *Stream) Close(ctx context.Context) (release []byte, v Verdict, err error) {
	return s.push(ctx, nil, true)
}

// Reset makes the stream one for a new text.
func (s *Stream) Reset() {
	clear(s.ends)
	s.buf, s.base, s.from, s.out, s.scanned, s.blocked = s.buf[:0], 0, 0, 0, 0, false
	s.tally.recent = s.tally.recent[:0]
	s.restorer.held, s.restorer.word = s.restorer.held[:0], false
}

// Held is the number of bytes that are held back.
func (s *Stream) Held() int {
	return max(0, s.base+len(s.buf)-s.out) + len(s.restorer.held)
}

func (s *Stream) push(ctx context.Context, delta []byte, end bool) ([]byte, Verdict, error) {
	if s.blocked {
		return nil, Verdict{Action: Block}, ErrBlocked
	}
	if err := ctx.Err(); err != nil {
		return nil, Verdict{}, err
	}
	s.masked, s.released, s.findings = s.masked[:0], s.released[:0], s.findings[:0]
	var v Verdict
	if s.set == nil {
		s.masked = append(s.masked, delta...)
	} else {
		s.buf = append(s.buf, delta...)
		var err error
		if v, err = s.scan(end); err != nil {
			return nil, v, err
		}
	}
	if s.restorer.vault == nil {
		return s.masked, v, nil
	}
	s.released = s.restorer.push(s.released, s.masked, end || s.blocked)
	return s.released, v, nil
}

// worth says whether the text has grown enough to be looked at again. What is held back for long is looked at again only
// when it grew by a sixteenth, so that each byte is looked at a bounded number of times.
func (s *Stream) worth() bool {
	known := s.base + len(s.buf)
	return known-s.scanned > (s.scanned-s.from)/16
}

func (s *Stream) scan(end bool) (Verdict, error) {
	if !end && !s.worth() {
		return Verdict{}, nil
	}
	sc := s.set.scans.Get().(*scan)
	defer s.set.release(sc)
	sc.work.grant(len(s.buf))
	sc.run(view{b: s.buf, base: s.base, end: end}, s.from-s.base, s.ends)
	if sc.work.err != nil {
		s.blocked = true
		return Verdict{}, sc.work.err
	}
	s.scanned = s.base + len(s.buf)
	hold := s.base + min(sc.hold, len(s.buf))
	v := s.judge(sc)
	s.emit(hold)
	s.from = hold
	s.trim()
	return v, nil
}

// judge gathers the findings up to the first that blocks.
func (s *Stream) judge(sc *scan) Verdict {
	if len(sc.hits) == 0 {
		return Verdict{}
	}
	s.tally.findings(sc, func(f Finding) bool {
		s.findings = append(s.findings, f)
		s.blocked = f.Action == Block
		return !s.blocked
	})
	v := Verdict{Findings: slices.Clone(s.findings)}
	for _, f := range s.findings {
		v.Action = max(v.Action, f.Action)
	}
	return v
}

// emit lets go, masked, what comes before an offset of the text, or before the finding that blocks.
func (s *Stream) emit(to int) {
	if s.blocked {
		last := s.findings[len(s.findings)-1]
		to, s.findings = last.Start, s.findings[:len(s.findings)-1]
	}
	low := s.out
	for i := range s.findings {
		f := &s.findings[i]
		if f.Action == Mask || f.Action == Hash {
			to = max(to, f.End)
		}
		f.Start, f.End = max(f.Start, low)-low, max(f.End, low)-low
	}
	if to > s.out {
		s.masked = s.vault.Apply(s.masked, s.buf[s.out-s.base:to-s.base], s.findings)
		s.out = to
	}
}

// trim forgets what no detector looks back at.
func (s *Stream) trim() {
	if drop := min(s.from-lookbehind, s.out) - s.base; drop > 0 {
		s.buf = append(s.buf[:0], s.buf[drop:]...)
		s.base += drop
	}
}
