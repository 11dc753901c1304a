package server

import (
	"fmt"
	"runtime/debug"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
)

// handle is the way of a request: the rule that matches, its filters, one of its backends, that backend's filters and
// handler, and the response filters backwards. It writes nothing to the client: the front end does when it returns.
func (s *Server) handle(p *port, x *exchange.Exchange) {
	rule := p.table.Load().Match(x)
	if rule == nil {
		x.Note = "no route"
		x.Reply(404, "no route matches this host and path")
		return
	}
	x.Route = &rule.RouteInfo
	if rule.Timeout > 0 {
		x.Deadline = x.Start.Add(rule.Timeout)
	}
	if x.RPC() {
		keepTime(x)
	}
	if filterRequest(x, rule.Request) {
		b := rule.PickFor(x)
		if filterRequest(x, b.Request) {
			b.Handler.Serve(x)
		}
		filterResponse(x, b.Response)
	}
	filterResponse(x, rule.Response)
}

// keepTime ends a call of gRPC when its client's time is up, also where the client is not there to end it.
func keepTime(x *exchange.Exchange) {
	if d := x.GRPCTimeout(); d > 0 {
		if by := x.Start.Add(d); x.Deadline.IsZero() || by.Before(x.Deadline) {
			x.Deadline = by
		}
	}
}

// filterRequest runs filters until one replies.
func filterRequest(x *exchange.Exchange, fs []filter.Request) bool {
	for _, f := range fs {
		if f.OnRequest(x) == filter.Reply {
			return false
		}
	}
	return true
}

func filterResponse(x *exchange.Exchange, fs []filter.Response) {
	for i := len(fs) - 1; i >= 0; i-- {
		fs[i].OnResponse(x)
	}
}

// finish ends an exchange, once, after the last byte of its response: bodies are closed, so that usage is settled and
// upstream connections go where they belong, and it is recorded.
func (s *Server) finish(x *exchange.Exchange, sent int64) {
	x.RespBody.Close()
	x.ReqBody.Close()
	s.observer.Finished(x, sent)
}

// panicked cleans up after a bug in a handler or a body: it costs this request, never the process. What broke may still
// be used by a goroutine of its own, so the exchange is not used again.
func (s *Server) panicked(x *exchange.Exchange, cause any, sent int64) {
	x.Note = "panic"
	s.observer.Panicked(fmt.Errorf("%v", cause), debug.Stack())
	func() {
		defer func() { _ = recover() }() // closing what is broken may break again
		x.RespBody.Close()
	}()
	x.Resp.SetStatusCode(500)
	s.observer.Finished(x, sent)
	exchange.Abandon(x)
}
