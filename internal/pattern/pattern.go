// Package pattern holds the limits of users' regular expressions in prompt guards. The control plane refuses by them what a
// data plane could not run, and the scanner compiles by them, so both always agree. It imports the standard library alone.
package pattern

import (
	"errors"
	"regexp/syntax"
)

// Limits of a pattern.
const (
	MaxExpression    = 1024 // bytes
	MaxInstructions  = 4096
	DefaultMaxLength = 256
	// MaxLength is the longest that a match may be, in bytes: what a stream may have to hold back.
	MaxLength = 8192
)

var (
	errTooLarge = errors.New("the pattern is too large")
	errEmpty    = errors.New("the pattern can match an empty text")
	errMax      = errors.New("maxLength is not between 1 and 8192")
	errLength   = errors.New("the pattern needs more than maxLength bytes, or its matches can be longer than 8192 bytes")
)

// A Pattern is a regular expression of RE2's syntax with matches of bounded length.
type Pattern struct {
	Prog *syntax.Prog
	// Tree is the simplified expression.
	Tree *syntax.Regexp
	// Max is the greatest length of a match in bytes. A longer one is cut to it.
	Max int
}

// Parse compiles an expression. limit is the greatest length of its matches where they have none of their own: 256 when 0.
func Parse(expr string, limit int) (*Pattern, error) {
	switch {
	case limit < 0 || limit > MaxLength:
		return nil, errMax
	case limit == 0:
		limit = DefaultMaxLength
	}
	if len(expr) > MaxExpression {
		return nil, errTooLarge
	}
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, err
	}
	least, most := extent(re)
	switch {
	case least == 0:
		return nil, errEmpty
	case most == unbounded && least > limit, most != unbounded && most > MaxLength:
		return nil, errLength
	case most == unbounded:
		most = limit
	}
	simple := re.Simplify()
	prog, err := syntax.Compile(simple)
	if err != nil {
		return nil, err
	}
	if len(prog.Inst) > MaxInstructions {
		return nil, errTooLarge
	}
	return &Pattern{Prog: prog, Tree: simple, Max: most}, nil
}
