package authz

import (
	"net/url"
	"strings"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
)

// protected are fields that no answer changes: those of connections and framing, and whom the request is for, by which its route
// was found.
func protected(name string) bool {
	return name == "" || name[0] == ':' || name == "Host" || name == "Authority" || filter.OfConnection(name)
}

// apply makes a change.
func apply(h filter.Header, e *exchange.Edit) {
	there := len(h.PeekAll(e.Name)) > 0
	switch e.Action {
	case exchange.EditRemove:
		filter.Remove(h, e.Name)
	case exchange.EditAdd:
		filter.Add(h, e.Name, e.Value)
	case exchange.EditAddIfAbsent:
		if !there {
			filter.Add(h, e.Name, e.Value)
		}
	case exchange.EditSetIfThere:
		if there {
			filter.Set(h, e.Name, e.Value)
		}
	default:
		filter.Set(h, e.Name, e.Value)
	}
}

// parameter is a query parameter to set or, without a value, to remove.
type parameter struct {
	name, value string
	remove      bool
}

// editQuery changes one parameter of a query and leaves all others as they were written.
func editQuery(query string, p parameter) string {
	var out []string
	set := p.remove
	written := url.QueryEscape(p.name) + "=" + url.QueryEscape(p.value)
	for pair := range strings.SplitSeq(query, "&") {
		switch {
		case query == "":
		case !named(pair, p.name):
			out = append(out, pair)
		case !set:
			out, set = append(out, written), true
		}
	}
	if !set {
		out = append(out, written)
	}
	return strings.Join(out, "&")
}

// named says whether a pair of a query has a name. One that cannot be decoded has the name that it is written with.
func named(pair, name string) bool {
	raw, _, _ := strings.Cut(pair, "=")
	if decoded, err := url.QueryUnescape(raw); err == nil {
		return decoded == name
	}
	return raw == name
}
