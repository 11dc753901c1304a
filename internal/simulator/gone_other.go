//go:build !unix

package simulator

import "net"

// left cannot look at a connection here; a failing write tells that the client left.
func left(net.Conn) bool { return false }
