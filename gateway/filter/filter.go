// Package filter changes requests and responses on their way: header modification, redirect, URL rewrite, CORS, mirroring.
// One file holds one filter.
//
// Filters are compiled with a table and then immutable: all requests share them. They see an exchange and nothing of
// listeners, tables or connections; package table gives them what they need when they are built (Env). The package must not
// import table, server or forward.
package filter

import (
	"errors"
	"fmt"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// Verdict is what a request filter decides.
type Verdict int

// The verdicts.
const (
	// Continue goes on with the next filter.
	Continue Verdict = iota
	// Reply ends the request: the exchange's response is filled. Response filters still run.
	Reply
)

// Request is a filter of requests. OnRequest may be called by any number of goroutines at once.
type Request interface {
	OnRequest(x *exchange.Exchange) Verdict
}

// Response is a filter of responses, the gateway's own errors included. It is called when the head is ready and may wrap
// the body; any number of goroutines may call it at once.
type Response interface {
	OnResponse(x *exchange.Exchange)
}

// Authorizer is a filter that asks another server whether a request is allowed.
type Authorizer interface {
	Request
	Response
}

// Env is what a filter takes from the table that it is compiled into.
type Env struct {
	// Port is the listener's, for redirects.
	Port uint32
	// Cluster finds the cluster of a backend by its key, for mirrors.
	Cluster func(key string) (*upstream.Cluster, error)
	// Mirrors bounds and counts mirrored requests.
	Mirrors *Mirrors
	// Authorize makes the filter that asks an authorization server.
	Authorize func(m *xdsv1.ExternalAuth) (Authorizer, error)
}

// Chain is a compiled list of filters.
type Chain struct {
	// Preflight run before all others, those that ask who calls included: a browser's preflight carries no credentials (Fetch
	// standard, section 4.8).
	Preflight []Request
	// Authorize run after Preflight and before Request, wherever they stand in the list: a server is asked about the request as the
	// client sent it (HTTPExternalAuthFilter), and what it is told of the answer the other filters can change.
	Authorize []Request
	// Request run in order, Response in reverse.
	Request  []Request
	Response []Response
	// Handler ends the request in place of the backends: a redirect, or the 500 of a filter that is not valid. It runs
	// after Request. Usually nil.
	Handler exchange.Handler
}

// Build compiles the filters of a rule or of a backend. Its error names the filter by index and kind.
func Build(list []*xdsv1.Filter, env Env) (Chain, error) {
	var c Chain
	for i, f := range list {
		if err := c.add(f, env); err != nil {
			return Chain{}, fmt.Errorf("filters[%d].%w", i, err)
		}
	}
	c.mirrorsLast()
	return c, nil
}

func (c *Chain) add(f *xdsv1.Filter, env Env) error {
	switch k := f.GetKind().(type) {
	case *xdsv1.Filter_RequestHeaders:
		c.Request = append(c.Request, newRequestHeaders(k.RequestHeaders))
	case *xdsv1.Filter_ResponseHeaders:
		c.Response = append(c.Response, newResponseHeaders(k.ResponseHeaders))
	case *xdsv1.Filter_Redirect:
		c.end(newRedirect(k.Redirect, env.Port))
	case *xdsv1.Filter_Rewrite:
		c.Request = append(c.Request, newRewrite(k.Rewrite))
	case *xdsv1.Filter_Cors:
		f, err := newCORS(k.Cors)
		if err != nil {
			return err
		}
		c.Preflight, c.Response = append(c.Preflight, f), append(c.Response, f)
	case *xdsv1.Filter_Mirror:
		return c.addMirror(k.Mirror, env)
	case *xdsv1.Filter_Invalid:
		c.invalid(k.Invalid)
	case *xdsv1.Filter_ExternalAuth:
		return c.addAuthorizer(k.ExternalAuth, env)
	default:
		return errors.New("kind: is missing, or not known to this version")
	}
	return nil
}

func (c *Chain) addAuthorizer(m *xdsv1.ExternalAuth, env Env) error {
	f, err := env.Authorize(m)
	if err != nil {
		return fmt.Errorf("external_auth.backend: %w", err)
	}
	c.Authorize, c.Response = append(c.Authorize, f), append(c.Response, f)
	return nil
}

// end sets the handler; the first filter that ends requests wins, save that nothing outranks an invalid one.
func (c *Chain) end(h exchange.Handler) {
	if c.Handler == nil {
		c.Handler = h
	}
}

// invalid makes the whole rule answer 500: what the filter would have done is not known, so nothing may be forwarded
// without it (Gateway API, HTTPRouteFilter.extensionRef).
func (c *Chain) invalid(reason string) { c.Handler = &Failure{Note: "invalid filter: " + reason} }

// mirrorsLast moves mirrors behind the filters that change the request: the copy is what the backend gets.
func (c *Chain) mirrorsLast() {
	var mirrors []Request
	kept := c.Request[:0]
	for _, f := range c.Request {
		if m, ok := f.(*mirror); ok {
			mirrors = append(mirrors, m)
		} else {
			kept = append(kept, f)
		}
	}
	c.Request = append(kept, mirrors...)
}

// Failure is a handler that answers 500. Note is the reason, for the log alone.
type Failure struct{ Note string }

var _ exchange.Handler = (*Failure)(nil)

// Serve answers 500.
func (f *Failure) Serve(x *exchange.Exchange) {
	x.Note = f.Note
	x.Reply(500, "the route that matches this request is not configured correctly")
}
