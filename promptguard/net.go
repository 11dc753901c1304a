package promptguard

import (
	"bytes"
	"net/netip"
)

func ipDetectors() []detector {
	return []detector{
		{kind: "IPAddress", label: "IP_ADDRESS", cue: cueDot, reach: 5, match: matchIPv4},
		{kind: "IPAddress", label: "IP_ADDRESS", cue: cueColon, reach: 6, match: matchIPv6},
	}
}

func macDetectors() []detector {
	return []detector{
		{kind: "MACAddress", label: "MAC_ADDRESS", cue: cueColon, reach: 4, match: matchMAC},
		{kind: "MACAddress", label: "MAC_ADDRESS", cue: cueDash, reach: 4, match: matchMAC},
	}
}

// versionWords stand before numbers that look like addresses.
var versionWords = []string{"version", "versions", "v", "ver", "release", "build", "section", "chapter", "firmware", "clause", "oid", "kernel", "upgrade to"}

// matchIPv4 judges the first dot of four decimal numbers. Addresses that are nobody's (0.0.0.0, 127.0.0.0/8,
// 255.255.255.255) are not found, nor are versions that are called so.
func matchIPv4(v *view, dot int) match {
	at := v.back(dot, 4, isDigit)
	if dot-at > 3 || dot == at || at > 0 && (is(v.b[at-1], isLetter|isLocal)) {
		return match{}
	}
	var octets [4]byte
	i := at
	for k := range octets {
		if k > 0 {
			if i == len(v.b) {
				return v.undecided(at)
			}
			if v.b[i] != '.' {
				return match{}
			}
			i++
		}
		end := v.run(i, 4, isDigit)
		if end == len(v.b) && !v.end && end-i <= 3 {
			return v.undecided(at)
		}
		n := decimal(v.b[i:min(end, i+3)])
		if end == i || end-i > 3 || n > 255 || end-i > 1 && v.b[i] == '0' {
			return match{}
		}
		octets[k], i = byte(n), end
	}
	return v.ipv4End(at, i, octets)
}

func (v *view) ipv4End(at, end int, octets [4]byte) match {
	if end == len(v.b) && !v.end {
		return v.undecided(at)
	}
	if of, _ := v.after(end, isAlnum); of || end < len(v.b) && v.b[end] == '_' {
		return match{}
	}
	if end < len(v.b) && (v.b[end] == '.' || v.b[end] == '-') {
		on, known := v.after(end+1, isDigit)
		if !known {
			return v.undecided(at)
		}
		if on && v.b[end] == '.' {
			return match{}
		}
	}
	if octets[0] == 0 || octets[0] == 127 || octets == [4]byte{255, 255, 255, 255} || v.said(at, 12, versionWords) {
		return match{}
	}
	return found(at, end)
}

// maxIPv6 is the length of the longest IPv6 address, with an IPv4 address at its end.
const maxIPv6 = 45

// matchIPv6 judges the first colon of hexadecimal groups (RFC 4291, section 2.2).
func matchIPv6(v *view, colon int) match {
	at := v.back(colon, 5, isHex)
	if colon-at > 4 || v.before(at, isAlnum) || at > 0 && (v.b[at-1] == ':' || v.b[at-1] == '_' || v.b[at-1] == '-') {
		return match{}
	}
	i, colons, dot := at, 0, false
	for i < len(v.b) && i-at <= maxIPv6 {
		if c := v.b[i]; c == ':' {
			colons++
		} else if c == '.' {
			dot = true
		} else if !is(c, isHex) {
			break
		}
		i++
	}
	if i == len(v.b) && !v.end && i-at <= maxIPv6 {
		return v.undecided(at)
	}
	if colons < 2 || i-at > maxIPv6 {
		return match{}
	}
	if i < len(v.b) && (is(v.b[i], isAlnum) || v.b[i] == '_') {
		return match{}
	}
	for i > at && v.b[i-1] == '.' || i > at+2 && v.b[i-1] == ':' && v.b[i-2] != ':' {
		i-- // the end of a sentence
	}
	return ipv6At(v.b, at, i, colons, dot)
}

func ipv6At(b []byte, at, end, colons int, dot bool) match {
	text := b[at:end]
	if colons < 7 && !doubleColon(text) && !dot || text[0] == ':' && colons < 3 || !bytes.ContainsAny(text, "0123456789") {
		return match{} // b::c is C++
	}
	a, err := netip.ParseAddr(string(text))
	if err != nil || a.IsLoopback() || a.IsUnspecified() || end-at < 6 {
		return match{}
	}
	return found(at, end)
}

func doubleColon(b []byte) bool {
	for i := 1; i < len(b); i++ {
		if b[i] == ':' && b[i-1] == ':' {
			return true
		}
	}
	return false
}

// matchMAC judges the first sign of six hexadecimal pairs (IEEE 802), which is the same between all of them. Those of no
// device, all zeros or all ones, are not found.
func matchMAC(v *view, sign int) match {
	const length = 17
	at := sign - 2
	if at < 0 || v.before(at, isAlnum) || at > 0 && (v.b[at-1] == v.b[sign] || v.b[at-1] == '_') {
		return match{}
	}
	same := true
	for k := range length {
		i := at + k
		if i == len(v.b) {
			return v.undecided(at)
		}
		if k%3 == 2 && v.b[i] != v.b[sign] || k%3 != 2 && !is(v.b[i], isHex) {
			return match{}
		}
		same = same && (k%3 == 2 || lower(v.b[i]) == lower(v.b[at]))
	}
	end := at + length
	of, known := v.after(end, isAlnum)
	if known && !of && end < len(v.b) && v.b[end] == v.b[sign] {
		of, known = v.after(end+1, isHex)
	}
	if !known {
		return v.undecided(at)
	}
	if of || same && (v.b[at] == '0' || lower(v.b[at]) == 'f') {
		return match{}
	}
	return found(at, end)
}
