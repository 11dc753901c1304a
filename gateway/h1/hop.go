package h1

// HopByHop says whether a field belongs to one connection alone and is not forwarded (RFC 9110, section 7.6.1), or frames
// the message, which each side does anew. name is as fasthttp normalises it: "Keep-Alive", "Te".
func HopByHop(name []byte) bool {
	switch string(name) {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization",
		"Proxy-Authenticate", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length",
		"Http2-Settings":
		return true
	}
	return false
}

// AppendField appends one header line.
func AppendField(dst, name, value []byte) []byte {
	dst = append(dst, name...)
	dst = append(dst, ':', ' ')
	dst = append(dst, value...)
	return append(dst, '\r', '\n')
}
