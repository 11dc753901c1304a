package authz

import (
	"errors"
	"strings"

	"github.com/valyala/fasthttp"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/h1"
)

// overHTTP asks by a request like the client's own, without its body unless that is wanted: 200 allows.
type overHTTP struct {
	prefix string
	// take are the fields of an answer that go into the request to the backend; empty: all.
	take map[string]bool
}

func newHTTP(m *xdsv1.ExternalAuth) *overHTTP {
	return &overHTTP{prefix: clean(m.GetPathPrefix()), take: names(m.GetAllowedResponseHeaders())}
}

// clean writes a prefix as the gateway writes the paths of requests; one that no request could have stays out.
func clean(prefix string) string {
	if prefix == "" {
		return ""
	}
	b, err := exchange.AppendPath(nil, []byte(prefix))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(b), "/")
}

func (p *overHTTP) prepare(f *Filter, x *exchange.Exchange, c *call, body []byte) error {
	f.fields(x, &c.head)
	c.Method, c.Host = x.Req.Method(), x.Req.Host()
	c.Path, c.Query, c.HasQuery = append([]byte(p.prefix), x.Path...), x.Query, x.HasQuery
	c.Header, c.Resp, c.RespTrailer = &c.head, &c.resp, &c.trailer
	if f.show(fasthttp.HeaderCookie) {
		c.Cookie = x.Cookie()
	}
	c.Body = exchange.BytesBody(body)
	return nil
}

var errServer = errors.New("the authorization server answered with an error of its own")

// read takes 200 for a yes. What else would look like success to the client, or like its own copy being right, becomes 403; an
// error of the server's own says nothing of the request.
func (p *overHTTP) read(c *call) (*answer, error) {
	status := c.resp.StatusCode()
	if status >= 500 {
		return nil, errServer
	}
	body, err := c.answerBody()
	if err != nil {
		return nil, err
	}
	if status == 200 {
		return &answer{result: Allowed, request: p.edits(&c.resp)}, nil
	}
	a := &answer{result: Denied, status: status, body: body, verbatim: true}
	if status < 300 || status == 304 {
		return &answer{result: Denied, status: 403}, nil
	}
	for name, value := range c.resp.All() {
		if !h1.HopByHop(name) {
			a.response = append(a.response, exchange.Edit{Name: string(name), Value: string(value), Action: exchange.EditAdd})
		}
	}
	return a, nil
}

// edits are the changes of the request that an answer wants. Those fields that are listed are the server's alone: what the client
// sent under such a name is removed though the server says nothing, or a client could pass itself off as somebody.
//
// Where nothing is listed all fields are copied, but for those that describe the answer's own content (RFC 9110, section 8.3 to
// 8.7): the request has a content of its own.
func (p *overHTTP) edits(h *fasthttp.ResponseHeader) []exchange.Edit {
	var out []exchange.Edit
	for name := range p.take {
		if !protected(name) {
			out = append(out, exchange.Edit{Name: name, Action: exchange.EditRemove})
		}
	}
	seen := map[string]bool{}
	for key, value := range h.All() {
		name := string(key)
		if protected(name) || len(p.take) > 0 && !p.take[name] || len(p.take) == 0 && ofContent(name) {
			continue
		}
		e := exchange.Edit{Name: name, Value: string(value), Action: exchange.EditSet}
		if seen[name] {
			e.Action = exchange.EditAdd
		}
		seen[name] = true
		out = append(out, e)
	}
	return out
}

func ofContent(name string) bool {
	switch name {
	case "Content-Type", "Content-Encoding", "Content-Language", "Content-Location", "Content-Range":
		return true
	}
	return false
}
