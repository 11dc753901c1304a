package simulator

import (
	"net/http"
	"slices"
	"sync"

	"github.com/valyala/fasthttp"
)

// Request is a recorded request.
type Request struct {
	Method string
	Path   string // with the query
	Header http.Header
	Body   []byte
}

// requestLog keeps the last max requests.
type requestLog struct {
	max int

	mu   sync.Mutex
	kept []Request
}

// Requests returns the last Options.Record requests, oldest first. The caller owns what is returned.
func (s *Server) Requests() []Request {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	kept := slices.Clone(s.log.kept)
	for i := range kept {
		kept[i].Header = kept[i].Header.Clone()
		kept[i].Body = slices.Clone(kept[i].Body)
	}
	return kept
}

func (l *requestLog) add(ctx *fasthttp.RequestCtx) {
	if l.max == 0 {
		return
	}
	r := Request{
		Method: string(ctx.Method()),
		Path:   string(ctx.RequestURI()),
		Header: http.Header{},
		Body:   slices.Clone(ctx.Request.Body()),
	}
	for k, v := range ctx.Request.Header.All() {
		r.Header.Add(string(k), string(v))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept) == l.max {
		l.kept = slices.Delete(l.kept, 0, 1)
	}
	l.kept = append(l.kept, r)
}

// prefixes remembers the last maxPrefixes prompt prefixes that were cached.
type prefixes struct {
	mu   sync.Mutex
	seen map[uint64]struct{}
	ring []uint64
	next int
}

const maxPrefixes = 4096

// touch tells whether the prefix was cached before, and caches it.
func (p *prefixes) touch(prefix uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.seen[prefix]; ok {
		return true
	}
	if p.seen == nil {
		p.seen = map[uint64]struct{}{}
	}
	p.seen[prefix] = struct{}{}
	if len(p.ring) < maxPrefixes {
		p.ring = append(p.ring, prefix)
		return false
	}
	delete(p.seen, p.ring[p.next])
	p.ring[p.next] = prefix
	p.next = (p.next + 1) % maxPrefixes
	return false
}
