package table

import (
	"bytes"
	"cmp"
	"regexp"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// match is one entry of a rule's matches, below the path that it is indexed under.
type match struct {
	rule   *Rule
	method string // empty: any
	// pattern is matched against the path; nil for exact paths and prefixes.
	pattern *regexp.Regexp
	// grpcMethod: the path is /service/method with this method and any service.
	grpcMethod string
	headers    []valueMatch
	query      []valueMatch
	place      *place
}

// pathKind says how a match is indexed.
type pathKind int

const (
	exactPath pathKind = iota
	patternPath
	prefixPath
)

// place says where a match stands in the index and among those that are there.
type place struct {
	kind pathKind
	// path is the key: the exact path, the text of the expression, or the prefix without its last slash.
	path string
	// created, route, rule and index order matches that are equal otherwise. created is in nanoseconds since 1970.
	created     int64
	route       string
	rule, index int
}

// compare orders the matches of one list: negative when m goes before o.
func (m *match) compare(o *match) int {
	a, b := m.place, o.place
	return cmp.Or(
		more(len(a.path), len(b.path)), // of expressions; equal in the other lists
		more(len(m.grpcMethod), len(o.grpcMethod)),
		more(min(1, len(m.method)), min(1, len(o.method))),
		more(len(m.headers), len(o.headers)),
		more(len(m.query), len(o.query)),
		cmp.Compare(a.created, b.created),
		cmp.Compare(a.route, b.route),
		cmp.Compare(a.rule, b.rule),
		cmp.Compare(a.index, b.index),
	)
}

// more puts the larger number first.
func more(a, b int) int { return cmp.Compare(b, a) }

// accepts says whether all conditions but that of an exact path or prefix hold.
func (m *match) accepts(x *exchange.Exchange) bool {
	if m.method != "" && string(x.Req.Method()) != m.method {
		return false
	}
	if m.pattern != nil && !m.pattern.Match(x.Path) {
		return false
	}
	if m.grpcMethod != "" && !isMethod(x.Path, m.grpcMethod) {
		return false
	}
	for i := range m.headers {
		if !m.headers[i].header(x) {
			return false
		}
	}
	for i := range m.query {
		if !m.query[i].queryParam(x) {
			return false
		}
	}
	return true
}

// isMethod says whether path is /service/method.
func isMethod(path []byte, method string) bool {
	i := bytes.LastIndexByte(path, '/')
	return i > 1 && string(path[i+1:]) == method && bytes.IndexByte(path[1:i], '/') < 0
}
