package l4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
)

// The PROXY protocol, versions 1 and 2: https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt

const (
	maxProxy1 = 107 // section 2.1: the longest line, with its end
	// maxProxy2 bounds what follows the first 16 bytes of version 2: addresses and whatever else a proxy tells.
	maxProxy2 = 4 << 10
)

var (
	signature = []byte("\r\n\r\n\x00\r\nQUIT\n")
	errProxy  = errors.New("no valid header of the PROXY protocol")
)

// Proxied are the two ends of a client's connection to a proxy; they are zero when the proxy speaks for itself.
type Proxied struct{ Client, Local netip.AddrPort }

// ReadProxy reads a header of either version from r, and not a byte more.
func ReadProxy(r io.Reader) (Proxied, error) {
	var buf [maxProxy1]byte
	if _, err := io.ReadFull(r, buf[:len(signature)]); err != nil {
		return Proxied{}, err
	}
	if bytes.Equal(buf[:len(signature)], signature) {
		return readProxy2(r)
	}
	if !bytes.HasPrefix(buf[:], []byte("PROXY ")) {
		return Proxied{}, errProxy
	}
	// One byte at a time: what follows the line is the connection's.
	for n := len(signature); n < len(buf); n++ {
		if _, err := io.ReadFull(r, buf[n:n+1]); err != nil {
			return Proxied{}, err
		}
		if buf[n] == '\n' {
			return parseProxy1(buf[:n+1])
		}
	}
	return Proxied{}, errProxy
}

// parseProxy1 reads "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n" (section 2.1).
func parseProxy1(line []byte) (p Proxied, err error) {
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return p, errProxy
	}
	fields := bytes.Split(text, []byte(" "))
	if len(fields) > 1 && string(fields[1]) == "UNKNOWN" {
		return p, nil
	}
	if len(fields) != 6 {
		return p, errProxy
	}
	v4 := string(fields[1]) == "TCP4"
	if !v4 && string(fields[1]) != "TCP6" {
		return p, errProxy
	}
	client, ok1 := proxyAddr(fields[2], fields[4], v4)
	local, ok2 := proxyAddr(fields[3], fields[5], v4)
	if !ok1 || !ok2 {
		return p, errProxy
	}
	return Proxied{client, local}, nil
}

func proxyAddr(address, port []byte, v4 bool) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(string(address))
	n, perr := strconv.ParseUint(string(port), 10, 16)
	if err != nil || perr != nil || a.Is4() != v4 || a.Zone() != "" || len(port) > 1 && port[0] == '0' || port[0] == '+' {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), true
}

// readProxy2 reads what follows the signature (section 2.2).
func readProxy2(r io.Reader) (p Proxied, err error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return p, err
	}
	n := int(binary.BigEndian.Uint16(head[2:]))
	if head[0]>>4 != 2 || head[0]&15 > 1 || n > maxProxy2 {
		return p, errProxy
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return p, err
	}
	if head[0]&15 == 0 { // LOCAL
		return p, nil
	}
	size := 0
	switch head[1] {
	case 0x11: // IPv4, stream
		size = 4
	case 0x21: // IPv6, stream
		size = 16
	default: // of another family, which is to be skipped
		return p, nil
	}
	if len(body) < 2*size+4 {
		return p, errProxy
	}
	client, _ := netip.AddrFromSlice(body[:size])
	local, _ := netip.AddrFromSlice(body[size : 2*size])
	p.Client = netip.AddrPortFrom(client.Unmap(), binary.BigEndian.Uint16(body[2*size:]))
	p.Local = netip.AddrPortFrom(local.Unmap(), binary.BigEndian.Uint16(body[2*size+2:]))
	return p, nil
}

// AppendProxy appends a header of version 1 or 2. Addresses that are zero, or of two families, say that the gateway speaks
// for itself.
func AppendProxy(dst []byte, version int, p Proxied) []byte {
	client, local := p.Client.Addr().Unmap(), p.Local.Addr().Unmap()
	known := client.IsValid() && local.IsValid() && client.Is4() == local.Is4()
	if version == 1 {
		if !known {
			return append(dst, "PROXY UNKNOWN\r\n"...)
		}
		family := "TCP6"
		if client.Is4() {
			family = "TCP4"
		}
		return fmt.Appendf(dst, "PROXY %s %s %s %d %d\r\n", family, client.WithZone(""), local.WithZone(""), p.Client.Port(), p.Local.Port())
	}
	dst = append(dst, signature...)
	if !known {
		return append(dst, 0x20, 0, 0, 0)
	}
	family := byte(0x21)
	if client.Is4() {
		family = 0x11
	}
	dst = append(dst, 0x21, family)
	dst = binary.BigEndian.AppendUint16(dst, uint16(2*len(client.AsSlice())+4))
	dst = append(append(dst, client.AsSlice()...), local.AsSlice()...)
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(dst, p.Client.Port()), p.Local.Port())
}
