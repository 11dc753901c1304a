// Package h1 is the framing of HTTP/1.1, the same for both sides of the gateway: heads, bodies, chunks and trailers, on
// fasthttp's header types.
//
// It is strict where two readers of one message could disagree (RFC 9112, sections 5, 6 and 11): what is in doubt is an
// error, and the connection that it came on must be closed.
package h1
