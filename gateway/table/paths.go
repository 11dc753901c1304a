package table

import (
	"bytes"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// paths are the matches of one hostname by path. Each list is in order of precedence. The nil index is empty.
type paths struct {
	exact    map[string][]*match
	patterns []*match // by regular expression
	// prefix is by the prefix without its last slash; that of "/" is in root.
	prefix map[string][]*match
	root   []*match
	// lengths of the keys, so that a path made of slashes is not looked up at each of them.
	exactLengths, prefixLengths lengths
}

// find is the rule that serves x. It sets x.MatchedPrefix.
func (p *paths) find(x *exchange.Exchange) *Rule {
	if p == nil {
		return nil
	}
	if p.exactLengths.has(len(x.Path)) {
		if m := first(p.exact[string(x.Path)], x); m != nil {
			x.MatchedPrefix = len(x.Path)
			return m.rule
		}
	}
	if m := first(p.patterns, x); m != nil {
		x.MatchedPrefix = 0
		return m.rule
	}
	return p.findPrefix(x)
}

// findPrefix tries the path and what is before each of its slashes, the longest first.
func (p *paths) findPrefix(x *exchange.Exchange) *Rule {
	path := x.Path
	if len(path) == 0 || path[0] != '/' {
		return nil
	}
	for n := min(len(path), p.prefixLengths.max()); n > 0; n-- {
		if n < len(path) && path[n] != '/' {
			if n = bytes.LastIndexByte(path[:n], '/'); n == 0 {
				break
			}
		}
		if !p.prefixLengths.has(n) {
			continue
		}
		if m := first(p.prefix[string(path[:n])], x); m != nil {
			x.MatchedPrefix = n
			return m.rule
		}
	}
	if m := first(p.root, x); m != nil {
		x.MatchedPrefix = 0
		return m.rule
	}
	return nil
}

// first is the first match of a list that accepts x.
func first(list []*match, x *exchange.Exchange) *match {
	for _, m := range list {
		if m.accepts(x) {
			return m
		}
	}
	return nil
}

// lengths is a set of small numbers.
type lengths []uint64

func (l *lengths) add(n int) {
	for len(*l) <= n/64 {
		*l = append(*l, 0)
	}
	(*l)[n/64] |= 1 << (n % 64)
}

func (l lengths) has(n int) bool { return n/64 < len(l) && l[n/64]&(1<<(n%64)) != 0 }

// max is no less than any number of the set.
func (l lengths) max() int { return len(l)*64 - 1 }
