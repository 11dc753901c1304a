package server

// validHost says whether a Host field can be one: the octets of a name, an address or a port. Which host it is, is the
// table's matter. An empty host is allowed in HTTP/1.0.
func validHost(host []byte) bool {
	for _, c := range host {
		if !hostByte[c] {
			return false
		}
	}
	return len(host) <= 261 // a name of 255 octets and a port
}

var hostByte = func() (t [256]bool) {
	for _, c := range "-._~%:[]0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" {
		t[c] = true
	}
	return t
}()

// equalFold compares with a lower-case ASCII string.
func equalFold(b []byte, lower string) bool {
	return len(b) == len(lower) && equalFoldASCII(string(b), lower)
}
