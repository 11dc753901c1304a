package upstream

import "net"

// halfCloser is a net.Conn with CloseWrite, which TCP and TLS connections have.
type halfCloser struct{ net.Conn }

// CloseWrite ends the writing half, or the whole connection where there are no halves.
func (h *halfCloser) CloseWrite() error {
	if c, ok := h.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return h.Conn.Close()
}
