package filter

import (
	"bytes"
	"strconv"

	"github.com/valyala/fasthttp"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// redirect is the RequestRedirect filter. It ends the request.
type redirect struct {
	scheme, host string
	path         path
	port         uint32 // 0: by scheme and listener
	listener     uint32 // the listener's port
	status       int
}

var _ exchange.Handler = (*redirect)(nil)

func newRedirect(r *xdsv1.Redirect, listener uint32) *redirect {
	f := &redirect{
		scheme: r.GetScheme(), host: r.GetHostname(), path: newPath(r.GetPath()),
		port: r.GetPort(), listener: listener, status: int(r.GetStatus()),
	}
	if f.status == 0 {
		f.status = fasthttp.StatusFound
	}
	return f
}

var location = []byte(fasthttp.HeaderLocation)

// Serve answers with a Location that is absolute, and whose path can so never be read as a host.
func (f *redirect) Serve(x *exchange.Exchange) {
	x.ReplyBytes(f.status, "", nil)
	var buf [256]byte
	x.Resp.SetCanonical(location, f.appendLocation(buf[:0], x))
}

func (f *redirect) appendLocation(b []byte, x *exchange.Exchange) []byte {
	scheme := f.scheme
	if scheme == "" {
		scheme = x.Scheme
	}
	b = append(append(b, scheme...), "://"...)
	if f.host != "" {
		b = append(b, f.host...)
	} else {
		b = append(b, withoutPort(x.Req.Host())...)
	}
	if port := f.portFor(scheme); port != 0 {
		b = strconv.AppendUint(append(b, ':'), uint64(port), 10)
	}
	b = f.path.appendTo(b, x.Path, x.MatchedPrefix)
	if x.HasQuery {
		b = append(append(b, '?'), x.Query...)
	}
	return b
}

// portFor is the port of the Location; 0: the scheme says it (Gateway API, HTTPRequestRedirectFilter.port).
func (f *redirect) portFor(scheme string) uint32 {
	known := uint32(80)
	if scheme == "https" {
		known = 443
	}
	port := f.port
	if port == 0 {
		port = f.listener
		if f.scheme != "" {
			port = known
		}
	}
	if port == known {
		return 0
	}
	return port
}

func withoutPort(host []byte) []byte {
	if i := bytes.LastIndexByte(host, ':'); i > bytes.LastIndexByte(host, ']') {
		return host[:i]
	}
	return host
}
