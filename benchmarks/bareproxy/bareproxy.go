// Package bareproxy is the least that a reverse proxy on fasthttp can do: one upstream, no routes, no limits, no log. The
// gateway is measured against it.
package bareproxy

import (
	"net"

	"github.com/valyala/fasthttp"
)

// Serve forwards all requests of ln to the upstream's address, until ln is closed.
func Serve(ln net.Listener, upstream string) error {
	client := &fasthttp.HostClient{
		Addr:                          upstream,
		MaxConns:                      1 << 16,
		NoDefaultUserAgentHeader:      true,
		DisablePathNormalizing:        true,
		DisableHeaderNamesNormalizing: true,
		StreamResponseBody:            true,
	}
	srv := &fasthttp.Server{
		NoDefaultServerHeader:         true,
		NoDefaultContentType:          true,
		DisableHeaderNamesNormalizing: true,
		Handler:                       func(ctx *fasthttp.RequestCtx) { forward(ctx, client) },
	}
	return srv.Serve(ln)
}

func forward(ctx *fasthttp.RequestCtx, client *fasthttp.HostClient) {
	ctx.Request.Header.Del("Connection")
	if err := client.Do(&ctx.Request, &ctx.Response); err != nil {
		ctx.Error(err.Error(), fasthttp.StatusBadGateway)
		return
	}
	ctx.Response.Header.Del("Connection")
}
