package rig

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
)

// Front takes TLS connections and passes what they carry on to an address, until the test ends. Either side that leaves
// takes the other one along. It gives its port.
func Front(t testing.TB, c *tls.Config, to string) int {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go pass(in, to)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func pass(in net.Conn, to string) {
	defer in.Close()
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	go func() {
		io.Copy(in, out)
		in.Close()
	}()
	io.Copy(out, in)
	out.Close()
}
