package promptguard

import (
	"errors"
	"regexp/syntax"
	"unicode/utf8"

	"github.com/nantian-gw/nantian/internal/pattern"
)

// A program is a regular expression that is tried at one start. It finds what package regexp finds there, and tells when the
// text that is known is too short to say.
type program struct {
	prog  *syntax.Prog
	max   int       // bytes that a match may have
	first [256]bool // bytes that a match can begin with
}

// work is what programs need while they run: room, and a limit on what a text may cost.
type work struct {
	steps     int
	err       error
	now, next queue
	number    number
	phone     phone
	words     [maxWords]word
	first     word
	reader    reader // of words
}

// ErrCostly is the error of a text on which the users' patterns would take too long. Such a text cannot be judged.
var ErrCostly = errors.New("promptguard: the patterns take too long on this text")

// Steps of programs that are granted to each text, and for each of its bytes. A step takes some 10 ns.
const (
	stepsPerText = 1 << 20
	stepsPerByte = 64
)

func (w *work) grant(length int) {
	w.err = nil
	w.steps = stepsPerText + stepsPerByte*length
}

func (w *work) spend(n int) bool {
	w.steps -= n
	if w.steps < 0 {
		w.err = ErrCostly
	}
	return w.err == nil
}

// A queue is the threads of a program in the order of their preference, each at most once.
type queue struct {
	sparse []uint32
	dense  []uint32
}

func (q *queue) reset(size int) {
	if len(q.sparse) < size {
		q.sparse = make([]uint32, size)
	}
	q.dense = q.dense[:0]
}

func (q *queue) add(pc uint32) bool {
	if j := q.sparse[pc]; int(j) < len(q.dense) && q.dense[j] == pc {
		return false
	}
	q.sparse[pc] = uint32(len(q.dense))
	q.dense = append(q.dense, pc)
	return true
}

// match tries the program at an offset. A match is at least one byte long.
func (p *program) match(v *view, at int) match {
	if at < len(v.b) && !p.first[v.b[at]] {
		return match{}
	}
	w := v.work
	now, next := &w.now, &w.next
	now.reset(len(p.prog.Inst))
	next.reset(len(p.prog.Inst))
	now.dense = append(now.dense, uint32(p.prog.Start)) // before its closure
	end := -1
	prev := v.runeBefore(at)
	for i := at; ; {
		c, size, known := v.rune(i)
		if !known {
			return v.undecided(at)
		}
		next.dense = next.dense[:0]
		for _, pc := range now.dense {
			p.follow(next, pc, syntax.EmptyOpContext(prev, c))
		}
		now, next = next, now
		next.dense = next.dense[:0]
		if !w.spend(len(now.dense) + 1) {
			return match{}
		}
		full := i-at+size > p.max || size == 0
		matched := p.step(now, next, c, full)
		if matched && i > at {
			end = i
		}
		if len(next.dense) == 0 {
			break
		}
		now, next = next, now
		prev, i = c, i+size
	}
	if end < 0 {
		return match{}
	}
	return found(at, end)
}

// step moves the threads over a character. It says whether a thread is at a match; those that are less preferred end there.
func (p *program) step(now, next *queue, c rune, full bool) (matched bool) {
	for _, pc := range now.dense {
		inst := &p.prog.Inst[pc]
		switch inst.Op {
		case syntax.InstMatch:
			return true
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			if !full && inst.MatchRune(c) {
				next.add(inst.Out)
			}
		}
	}
	return false
}

// follow adds the threads that are reached from one without a character.
func (p *program) follow(q *queue, pc uint32, empty syntax.EmptyOp) {
	if !q.add(pc) {
		return
	}
	inst := &p.prog.Inst[pc]
	switch inst.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		p.follow(q, inst.Out, empty)
		p.follow(q, inst.Arg, empty)
	case syntax.InstNop, syntax.InstCapture:
		p.follow(q, inst.Out, empty)
	case syntax.InstEmptyWidth:
		if syntax.EmptyOp(inst.Arg)&^empty == 0 {
			p.follow(q, inst.Out, empty)
		}
	}
}

// rune decodes the character at an offset: -1 of size 0 at the end of the text.
func (v *view) rune(i int) (c rune, size int, known bool) {
	if i == len(v.b) {
		return -1, 0, v.end
	}
	if c := v.b[i]; c < utf8.RuneSelf {
		return rune(c), 1, true
	}
	if !v.end && !utf8.FullRune(v.b[i:]) {
		return 0, 0, false
	}
	c, size = utf8.DecodeRune(v.b[i:])
	return c, size, true
}

func (v *view) runeBefore(i int) rune {
	if i == 0 {
		return -1
	}
	c, _ := utf8.DecodeLastRune(v.b[max(0, i-utf8.UTFMax):i])
	return c
}

// newProgram compiles an expression. Where its matches have no greatest length, limit is it: 256 when 0.
func newProgram(expr string, limit int) (*program, *syntax.Regexp, error) {
	c, err := pattern.Parse(expr, limit)
	if err != nil {
		return nil, nil, err
	}
	p := &program{prog: c.Prog, max: c.Max}
	p.findFirst(uint32(c.Prog.Start), map[uint32]bool{})
	return p, c.Tree, nil
}

func (p *program) findFirst(pc uint32, seen map[uint32]bool) {
	if seen[pc] {
		return
	}
	seen[pc] = true
	inst := &p.prog.Inst[pc]
	switch inst.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		p.findFirst(inst.Out, seen)
		p.findFirst(inst.Arg, seen)
	case syntax.InstNop, syntax.InstCapture, syntax.InstEmptyWidth:
		p.findFirst(inst.Out, seen)
	case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		for c := range 256 {
			p.first[c] = p.first[c] || c >= utf8.RuneSelf || inst.MatchRune(rune(c))
		}
	}
}
