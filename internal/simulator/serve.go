package simulator

import (
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// serve answers one request.
func (s *Server) serve(ctx *fasthttp.RequestCtx) {
	s.requests.Add(1)
	s.log.add(ctx)
	c := s.acquire(ctx)
	failure := c.prepare()
	if c.d.reset {
		c.takeOver(func(conn net.Conn) { reset(conn) })
		c.release()
		return
	}
	var w watch
	err := c.beforeHead(&w, failure)
	w.stop()
	if err != nil {
		if err == errGone {
			s.cancelled.Add(1)
		}
		c.takeOver(func(net.Conn) {})
		c.release()
		return
	}
	c.respond(failure)
}

// prepare finds the operation and reads the request.
func (c *call) prepare() *apiError {
	if e := c.route(); e != nil {
		return e
	}
	if e := c.authorize(); e != nil {
		return e
	}
	body := c.ctx.Request.Body()
	if c.ctx.IsPost() {
		body = trimSpace(body)
		if !valid(body) {
			return invalid("", "The body of the request is not valid JSON.")
		}
		if value(body).kind() != '{' {
			return invalid("", "The body of the request is not a JSON object.")
		}
	}
	e := c.proto.read(c, body)
	if e == nil {
		e = c.checkModel()
	}
	if e == nil {
		e = c.finishReading(body)
	}
	if e == nil {
		e = c.askedError()
	}
	return e
}

func trimSpace(b []byte) []byte {
	b = b[skipSpace(b, 0):]
	for len(b) > 0 && b[len(b)-1] <= ' ' {
		b = b[:len(b)-1]
	}
	return b
}

// checkModel refuses an unknown model where Options.Strict says so.
func (c *call) checkModel() *apiError {
	if !c.s.opts.Strict || len(c.model) == 0 || c.s.has(c.model) {
		return nil
	}
	return unknownModel(c.model)
}

func (s *Server) has(model []byte) bool {
	for _, m := range s.opts.Models {
		if m == string(model) {
			return true
		}
	}
	return false
}

// askedError is the error that the status directive asks for.
func (c *call) askedError() *apiError {
	status, ok := given(c.d.status)
	if !ok {
		return nil
	}
	return &apiError{
		status: status, code: c.d.errorCode,
		message: "The simulator was asked to answer with status " + strconv.Itoa(status) + ".",
	}
}

// streamError is the error that the error-after directive asks for.
func (c *call) streamError() *apiError {
	status, ok := given(c.d.errorStatus)
	if !ok {
		status = fasthttp.StatusInternalServerError
	}
	return &apiError{status: status, code: c.d.errorCode, message: "The simulator was asked to break this stream."}
}

// beforeHead generates the answer and waits as the directives say.
func (c *call) beforeHead(w *watch, failure *apiError) error {
	if err := w.sleep(c, c.d.head); err != nil {
		return err
	}
	if c.d.hang {
		return w.silence(c)
	}
	if failure != nil {
		return w.sleep(c, c.d.firstToken)
	}
	if _, ok := c.proto.(streamer); !ok {
		return w.sleep(c, c.d.firstToken)
	}
	c.plan()
	if c.stream {
		return nil
	}
	return w.sleep(c, c.d.firstToken+c.d.delay*time.Duration(max(0, c.usage.output-1)))
}

// respond writes the head, and the body or its stream.
func (c *call) respond(failure *apiError) {
	c.proto.writeHead(c)
	c.writeHead()
	if failure != nil {
		c.ctx.SetStatusCode(failure.status)
		c.ctx.SetContentType(c.proto.mime())
		c.ctx.SetBody(c.proto.appendError(c.out[:0], c, failure))
		c.release()
		return
	}
	if wire, ok := c.proto.(streamer); ok && c.stream {
		c.startStream(wire)
		return
	}
	c.ctx.SetContentType(c.proto.mime())
	c.out = c.proto.appendAnswer(c.out[:0], c)
	c.deliver()
}

func (c *call) startStream(wire streamer) {
	c.ctx.SetContentType(wire.streamMime(c))
	c.ctx.Response.Header.Set("Cache-Control", "no-cache")
	c.s.streams.Add(1)
	c.s.open.Add(1)
	c.pull = puller{c: c, wire: wire}
	c.ctx.Response.ImmediateHeaderFlush = true
	c.ctx.Response.SetBodyStream(&c.pull, -1)
}

// deliver sends the answer in c.out, whole or not.
func (c *call) deliver() {
	defer c.release()
	if c.d.malformedAfter > 0 {
		breakJSON(c.out)
	}
	if c.d.cutAfter == 0 && c.d.hangAfter == 0 {
		c.ctx.SetBody(c.out)
		return
	}
	c.ctx.Response.Header.SetContentLength(len(c.out))
	part := append(c.ctx.Response.Header.Header(), c.out[:len(c.out)/2]...)
	s, hang := c.s, c.d.hangAfter > 0
	c.takeOver(func(conn net.Conn) {
		conn.Write(part)
		if hang {
			s.hold(conn)
		}
	})
}

// hold keeps a connection open until its client leaves or the server shuts down.
func (s *Server) hold(conn net.Conn) {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		var b [512]byte
		for {
			if _, err := conn.Read(b[:]); err != nil {
				return
			}
		}
	}()
	select {
	case <-gone:
		s.cancelled.Add(1)
	case <-s.draining:
		conn.SetReadDeadline(time.Unix(1, 0))
		<-gone
	}
}

// takeOver gives the connection to end, without a response of fasthttp's, and closes it then.
func (c *call) takeOver(end func(net.Conn)) {
	c.ctx.HijackSetNoResponse(true)
	c.ctx.Hijack(end)
}

// reset makes the close that follows a reset (RST) instead of an orderly end.
func reset(conn net.Conn) {
	if h, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
		conn = h.UnsafeConn()
	}
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
}

// writeHead sets the headers that directives ask for.
func (c *call) writeHead() {
	h := &c.ctx.Response.Header
	if c.d.retryAfter != "" {
		h.Set("Retry-After", strings.ReplaceAll(c.d.retryAfter, "_", " "))
	}
	if ms, ok := given(c.d.retryAfterMS); ok {
		h.Set("retry-after-ms", strconv.Itoa(ms))
	}
	if c.d.echo != "" {
		for name := range strings.SplitSeq(c.d.echo, ",") {
			h.SetBytesV("x-echo-"+name, c.ctx.Request.Header.Peek(name))
		}
	}
	if name, val, ok := strings.Cut(c.d.header, ":"); ok {
		h.Set(name, val)
	}
}
