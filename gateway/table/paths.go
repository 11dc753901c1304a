package table

import (
	"bytes"
	"slices"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// paths are the matches of one hostname by path. Each list is in order of precedence. The nil index is empty.
type paths struct {
	exact    byPath
	patterns []match // by regular expression
	// prefix is by the prefix without its last slash; that of "/" is in root.
	prefix byPath
	root   []match
}

// find is the rule that serves x. It sets x.MatchedPrefix.
func (p *paths) find(x *exchange.Exchange) *Rule {
	if p == nil {
		return nil
	}
	if r := first(p.exact.get(x.Path), x); r != nil {
		x.MatchedPrefix = len(x.Path)
		return r
	}
	if r := first(p.patterns, x); r != nil {
		x.MatchedPrefix = 0
		return r
	}
	return p.findPrefix(x)
}

// findPrefix tries the path and what is before each of its slashes, the longest first.
func (p *paths) findPrefix(x *exchange.Exchange) *Rule {
	path := x.Path
	if len(path) == 0 || path[0] != '/' {
		return nil
	}
	for n := min(len(path), p.prefix.longest); n > 0; n-- {
		if n < len(path) && path[n] != '/' {
			if n = bytes.LastIndexByte(path[:n], '/'); n == 0 {
				break
			}
		}
		if r := first(p.prefix.get(path[:n]), x); r != nil {
			x.MatchedPrefix = n
			return r
		}
	}
	x.MatchedPrefix = 0
	return first(p.root, x)
}

// first is the rule of the first match of a list that accepts x.
func first(list []match, x *exchange.Exchange) *Rule {
	for i := range list {
		if list[i].accepts(x) {
			return list[i].rule
		}
	}
	return nil
}

// byPath are lists by path. Most hostnames have a handful of paths, which a walk finds sooner than a map.
type byPath struct {
	few  []pathList
	many map[string][]match // in place of few
	// lengths of the paths, so that a request's path that is nothing but slashes is not hashed at each of them.
	lengths lengths
	longest int
}

type pathList struct {
	path string
	list []match
}

// maxFew is where a map begins to win.
const maxFew = 8

func (b *byPath) get(path []byte) []match {
	if b.many == nil {
		for i := range b.few {
			if b.few[i].path == string(path) {
				return b.few[i].list
			}
		}
		return nil
	}
	if !b.lengths.has(len(path)) {
		return nil
	}
	return b.many[string(path)]
}

func newByPath(lists map[string][]match) byPath {
	var b byPath
	for path, list := range lists {
		sortMatches(list)
		b.longest = max(b.longest, len(path))
		if len(lists) > maxFew {
			b.lengths.add(len(path))
		} else {
			b.few = append(b.few, pathList{path, list})
		}
	}
	if len(lists) > maxFew {
		b.many = lists
	}
	return b
}

func sortMatches(list []match) {
	slices.SortFunc(list, func(a, b match) int { return a.compare(&b) })
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

// pathsBuilder gathers the matches of one hostname.
type pathsBuilder struct {
	exact, prefix  map[string][]match
	patterns, root []match
}

func (b *pathsBuilder) add(m *match) {
	switch path := m.place.path; {
	case m.place.kind == patternPath:
		b.patterns = append(b.patterns, *m)
	case m.place.kind == exactPath:
		put(&b.exact, path, m)
	case path == "":
		b.root = append(b.root, *m)
	default:
		put(&b.prefix, path, m)
	}
}

func put(to *map[string][]match, path string, m *match) {
	if *to == nil {
		*to = map[string][]match{}
	}
	(*to)[path] = append((*to)[path], *m)
}

func (b *pathsBuilder) build() *paths {
	sortMatches(b.patterns)
	sortMatches(b.root)
	return &paths{exact: newByPath(b.exact), patterns: b.patterns, prefix: newByPath(b.prefix), root: b.root}
}
