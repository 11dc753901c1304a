package exchange

import (
	"bytes"
	"strconv"
	"time"
)

// GRPC says whether the request is one of gRPC: by HTTP/2, with its media type (gRPC over HTTP/2, Requests).
func (x *Exchange) GRPC() bool {
	return x.Proto == 2 && IsGRPC(x.Req.ContentType())
}

// IsGRPC says whether a media type is that of gRPC. That of gRPC-Web is another.
func IsGRPC(contentType []byte) bool {
	rest, ok := bytes.CutPrefix(contentType, []byte("application/grpc"))
	return ok && (len(rest) == 0 || rest[0] == '+' || rest[0] == ';')
}

// A backend that keeps the client's time too may end a call this much before the gateway's own clock does.
const clockSlack = 20 * time.Millisecond

// OutOfTime says whether a call of gRPC that its backend broke off had no time left: the backend has read the same grpc-timeout.
func (x *Exchange) OutOfTime() bool {
	return x.GRPCTimeout() > 0 && time.Until(x.Deadline) < clockSlack
}

// ReplyGRPC answers with a status of gRPC and nothing else (Trailers-Only; gRPC over HTTP/2, Responses). message is in the
// gateway's own words: printable ASCII without "%". In gRPC-Web it is in the trailer's frame.
func (x *Exchange) ReplyGRPC(code int, message string) {
	if x.Web() != NoWeb {
		x.ReplyBytes(200, "", nil)
		x.WebAnswer()
		x.RespBody = BytesBody(x.WebEnd(Trailer{{"grpc-status", strconv.Itoa(code)}, {"grpc-message", message}}))
		return
	}
	x.ReplyBytes(200, "application/grpc", nil)
	x.Resp.Set("Grpc-Status", strconv.Itoa(code))
	x.Resp.Set("Grpc-Message", message)
}

// codeOf is gRPC's code for a status that the gateway itself answers with. The Gateway API asks for UNIMPLEMENTED where no
// route matches, and for UNAVAILABLE where a backend is not valid; the rest is as gRPC maps statuses
// (https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md), more precise where gRPC has a word for it.
func codeOf(status int) int {
	switch status {
	case 400:
		return 13 // INTERNAL
	case 401:
		return 16 // UNAUTHENTICATED
	case 403:
		return 7 // PERMISSION_DENIED
	case 404:
		return 12 // UNIMPLEMENTED
	case 408, 504:
		return 4 // DEADLINE_EXCEEDED
	case 413, 429:
		return 8 // RESOURCE_EXHAUSTED
	case 421, 500, 502, 503:
		return 14 // UNAVAILABLE
	}
	return 2 // UNKNOWN
}

// GRPCStatus is the grpc-status of the response, in its head or after its body; empty: none yet.
func (x *Exchange) GRPCStatus() []byte {
	if x.web.status != "" {
		return []byte(x.web.status)
	}
	if s := x.Resp.Peek("Grpc-Status"); len(s) > 0 {
		return s
	}
	for i := range x.RespTrailer {
		if x.RespTrailer[i].Name == "grpc-status" {
			return []byte(x.RespTrailer[i].Value)
		}
	}
	return nil
}

// GRPCTimeout reads the grpc-timeout field: up to eight digits and a unit. 0: there is none, or none that is valid.
func (x *Exchange) GRPCTimeout() time.Duration {
	v := x.Req.Peek("Grpc-Timeout")
	if len(v) < 2 || len(v) > 9 {
		return 0
	}
	n, err := strconv.ParseUint(string(v[:len(v)-1]), 10, 32)
	if err != nil || v[0] == '+' {
		return 0
	}
	unit := timeUnit(v[len(v)-1])
	if unit > 0 && n > uint64(maxTimeout/unit) {
		return 0 // as good as none
	}
	return time.Duration(n) * unit
}

func timeUnit(c byte) time.Duration {
	switch c {
	case 'H':
		return time.Hour
	case 'M':
		return time.Minute
	case 'S':
		return time.Second
	case 'm':
		return time.Millisecond
	case 'u':
		return time.Microsecond
	case 'n':
		return time.Nanosecond
	}
	return 0
}

// maxTimeout keeps times from overflowing: a hundred years.
const maxTimeout = 100 * 365 * 24 * time.Hour
