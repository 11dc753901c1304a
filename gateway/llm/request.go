package llm

import (
	"bytes"
	"time"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// credentials are the fields in which clients carry their own. They go to providers with passthrough authentication alone.
var credentials = [...]string{"Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key", "Cookie"}

// build makes the HTTP request of the attempt. Nothing of the client's head is in it but what passthrough lets through.
func (c *call) build() {
	p := c.target.provider
	h := &c.head
	h.Reset()
	h.SetNoDefaultContentType(true)
	h.SetUserAgent(c.h.llm.UserAgent)
	// Answers are read here, so they must not be compressed.
	h.SetCanonical(acceptEncoding, identity)
	body := c.encoded.Content(&c.ax)
	if len(body) > 0 {
		h.SetContentType(jsonType)
	}
	for i := range c.encoded.Headers {
		h.Set(c.encoded.Headers[i].Name, c.encoded.Headers[i].Value)
	}
	for i := range p.fields {
		h.SetCanonical(p.fields[i].name, p.fields[i].value)
	}
	c.path = append(append(c.path[:0], p.base...), c.encoded.Path...)
	c.query = append(c.query[:0], c.encoded.Query...)
	if p.passthrough {
		c.passCredentials()
	}
	c.trail, c.answered = c.trail[:0], false
	c.resp.Reset()
	c.began = time.Now()
	c.up = upstream.Call{
		Method: method(c.encoded.Method), Path: c.path, Query: c.query, HasQuery: len(c.query) > 0, Host: p.host,
		Header: h, Body: exchange.BytesBody(body), Resp: &c.resp, RespTrailer: &c.trail,
		HeaderTimeout: p.firstByte, IdleTimeout: p.idle, Deadline: c.x.Deadline, Affinity: p.cluster.Affinity(c.x),
	}
}

var acceptEncoding, identity = []byte("Accept-Encoding"), []byte("identity")

var post, get = []byte("POST"), []byte("GET")

func method(m string) []byte {
	if m == "GET" {
		return get
	}
	return post
}

func (c *call) passCredentials() {
	for _, name := range credentials {
		if v := c.x.Req.Peek(name); len(v) > 0 {
			c.head.SetBytesV(name, v)
		}
	}
	for pair := range bytes.SplitSeq(c.x.Query, []byte("&")) {
		if bytes.HasPrefix(pair, []byte("key=")) {
			if len(c.query) > 0 {
				c.query = append(c.query, '&')
			}
			c.query = append(c.query, pair...)
			return
		}
	}
}
