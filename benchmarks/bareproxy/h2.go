package bareproxy

import (
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// ServeH2 is the same for HTTP/2 on both sides, which fasthttp does not speak: the standard library's reverse proxy.
func ServeH2(ln net.Listener, upstream string) error {
	h2 := new(http.Protocols)
	h2.SetUnencryptedHTTP2(true)
	to := &url.URL{Scheme: "http", Host: upstream}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host },
		Transport:     &http.Transport{Protocols: h2, DisableCompression: true},
		FlushInterval: -1,
	}
	s := &http.Server{Handler: proxy, Protocols: h2, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 1000}}
	return s.Serve(ln)
}
