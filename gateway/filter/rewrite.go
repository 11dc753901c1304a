package filter

import (
	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// rewrite is the URLRewrite filter: another Host, another path. The query stays.
type rewrite struct {
	host string
	path path
}

var _ Request = (*rewrite)(nil)

func newRewrite(r *xdsv1.URLRewrite) *rewrite {
	return &rewrite{host: r.GetHostname(), path: newPath(r.GetPath())}
}

func (f *rewrite) OnRequest(x *exchange.Exchange) Verdict {
	if f.host != "" {
		x.Req.SetHost(f.host)
	}
	x.Path, x.MatchedPrefix = f.path.rewrite(x.Path, x.MatchedPrefix)
	return Continue
}
