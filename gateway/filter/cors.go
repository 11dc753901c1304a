package filter

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// cors is the CORS filter: it answers preflights, and says in other responses who may read them. What the backend says of
// CORS itself is replaced.
//
// A wildcard in methods or headers is answered with what the client asks for when credentials are allowed, since browsers
// take "*" literally then (Fetch standard, section 3.3.3), and so is the wildcard origin.
type cors struct {
	anyOrigin   bool
	origins     []origin
	credentials bool
	methods     allowed
	headers     allowed
	expose      []byte
	maxAge      []byte
}

var (
	_ Request  = (*cors)(nil)
	_ Response = (*cors)(nil)
)

// allowed is a list as it goes into a field; any: "*" was in it.
type allowed struct {
	any  bool
	list []byte
}

func newAllowed(list []string) allowed {
	if slices.Contains(list, "*") {
		return allowed{any: true, list: []byte("*")}
	}
	return allowed{list: []byte(strings.Join(list, ", "))}
}

// defaultMaxAge is the Gateway API's (HTTPCORSFilter.maxAge), in seconds.
const defaultMaxAge = 5

func newCORS(c *xdsv1.CORS) (*cors, error) {
	f := &cors{
		credentials: c.GetAllowCredentials(),
		methods:     newAllowed(c.GetAllowMethods()),
		headers:     newAllowed(c.GetAllowHeaders()),
	}
	for i, s := range c.GetAllowOrigins() {
		if s == "*" {
			f.anyOrigin = true
			continue
		}
		o, err := parseOrigin(s)
		if err != nil {
			return nil, fmt.Errorf("cors.allow_origins[%d]: %w", i, err)
		}
		f.origins = append(f.origins, o)
	}
	if e := newAllowed(c.GetExposeHeaders()); !e.any || !f.credentials {
		f.expose = e.list
	}
	age := uint64(c.GetMaxAgeSeconds())
	if age == 0 {
		age = defaultMaxAge
	}
	f.maxAge = strconv.AppendUint(nil, age, 10)
	return f, nil
}

// OnRequest answers a preflight. One whose origin is not allowed is answered as well, without the fields that would allow
// it: the browser then refuses the request.
func (f *cors) OnRequest(x *exchange.Exchange) Verdict {
	method := x.Req.Peek(fasthttp.HeaderAccessControlRequestMethod)
	if !x.Req.IsOptions() || len(method) == 0 || len(x.Req.Peek(fasthttp.HeaderOrigin)) == 0 {
		return Continue
	}
	x.ReplyBytes(fasthttp.StatusNoContent, "", nil)
	// The fields that every response gets are added by OnResponse.
	h := &x.Resp
	h.SetCanonical(keyVary, varyPreflight)
	if !f.allows(x.Req.Peek(fasthttp.HeaderOrigin)) {
		return Reply
	}
	f.setAllowed(h, keyAllowMethods, f.methods, method)
	f.setAllowed(h, keyAllowHeaders, f.headers, x.Req.Peek(fasthttp.HeaderAccessControlRequestHeaders))
	h.SetCanonical(keyMaxAge, f.maxAge)
	return Reply
}

func (f *cors) setAllowed(h *fasthttp.ResponseHeader, key []byte, a allowed, asked []byte) {
	list := a.list
	if a.any && f.credentials {
		list = asked
	}
	if len(list) > 0 {
		h.SetCanonical(key, list)
	}
}

var (
	keyVary         = []byte(fasthttp.HeaderVary)
	keyOrigin       = []byte(fasthttp.HeaderAccessControlAllowOrigin)
	keyCredentials  = []byte(fasthttp.HeaderAccessControlAllowCredentials)
	keyExpose       = []byte(fasthttp.HeaderAccessControlExposeHeaders)
	keyAllowMethods = []byte(fasthttp.HeaderAccessControlAllowMethods)
	keyAllowHeaders = []byte(fasthttp.HeaderAccessControlAllowHeaders)
	keyMaxAge       = []byte(fasthttp.HeaderAccessControlMaxAge)
	valueTrue       = []byte("true")
	valueStar       = []byte("*")
	valueOrigin     = []byte(fasthttp.HeaderOrigin)
	varyPreflight   = []byte("Access-Control-Request-Method, Access-Control-Request-Headers")

	// ofBackend are the fields that replace the backend's.
	ofBackend = [...]field{
		{name: fasthttp.HeaderAccessControlAllowOrigin},
		{name: fasthttp.HeaderAccessControlAllowCredentials},
		{name: fasthttp.HeaderAccessControlExposeHeaders},
	}
)

// OnResponse says who may read the response. The origin is read from the request again: a rule that removes Origin from
// the request before the backend sees it takes it from here as well.
func (f *cors) OnResponse(x *exchange.Exchange) {
	h := &x.Resp
	for i := range ofBackend {
		ofBackend[i].remove(h)
	}
	constant := f.anyOrigin && !f.credentials
	if !constant {
		addVary(h, valueOrigin)
	}
	from := x.Req.Peek(fasthttp.HeaderOrigin)
	if len(from) == 0 || !f.allows(from) {
		return
	}
	if constant {
		from = valueStar
	}
	h.SetCanonical(keyOrigin, from)
	if f.credentials {
		h.SetCanonical(keyCredentials, valueTrue)
	}
	if len(f.expose) > 0 {
		h.SetCanonical(keyExpose, f.expose)
	}
}

// addVary adds a name to Vary, unless it is there.
func addVary(h *fasthttp.ResponseHeader, name []byte) {
	for _, v := range h.PeekAll(fasthttp.HeaderVary) {
		for len(v) > 0 {
			var one []byte
			one, v, _ = bytes.Cut(v, []byte(","))
			if one = bytes.TrimSpace(one); bytes.EqualFold(one, name) || string(one) == "*" {
				return
			}
		}
	}
	h.AddBytesKV(keyVary, name)
}

func (f *cors) allows(from []byte) bool {
	if f.anyOrigin {
		return true
	}
	for i := range f.origins {
		if f.origins[i].matches(from) {
			return true
		}
	}
	return false
}
