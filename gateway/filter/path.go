package filter

import (
	"slices"
	"strings"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// path is a PathModifier. The zero path changes nothing.
type path struct {
	change bool
	prefix bool // with replaces the matched prefix, not all of the path
	with   []byte
}

func newPath(m *xdsv1.PathModifier) path {
	switch k := m.GetKind().(type) {
	case *xdsv1.PathModifier_Full:
		return path{change: true, with: []byte(k.Full)}
	case *xdsv1.PathModifier_Prefix:
		// The path goes on with "/" or ends after a matched prefix, so a slash here would be one too many.
		return path{change: true, prefix: true, with: []byte(strings.TrimSuffix(k.Prefix, "/"))}
	}
	return path{}
}

// appendTo appends the modified path. matched is the length of the prefix that the rule matched.
func (p *path) appendTo(dst, old []byte, matched int) []byte {
	start := len(dst)
	switch {
	case !p.change:
		return append(dst, old...)
	case !p.prefix:
		dst = append(dst, p.with...)
	default:
		dst = append(dst, p.with...)
		dst = append(dst, old[min(matched, len(old)):]...)
	}
	if len(dst) == start {
		dst = append(dst, '/')
	}
	return dst
}

// rewrite modifies a path in place and says how much of it now counts as the matched prefix.
func (p *path) rewrite(b []byte, matched int) ([]byte, int) {
	switch {
	case !p.change:
		return b, matched
	case !p.prefix:
		return append(b[:0], p.with...), len(p.with)
	}
	b = slices.Replace(b, 0, min(matched, len(b)), p.with...)
	if len(b) == 0 {
		b = append(b, '/')
	}
	return b, len(p.with)
}
