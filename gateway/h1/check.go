package h1

import "bytes"

// HeadError says what is wrong with a head. Status is what a client is answered.
type HeadError struct {
	Status int
	Text   string
}

func (e *HeadError) Error() string { return e.Text }

func bad(text string) *HeadError { return &HeadError{Status: 400, Text: text} }

// MaxFields bounds the fields of a head; more is answered like a head that is too large.
const MaxFields = 256

// CheckRequestHead refuses a request head that two readers could read differently. raw ends with an empty line.
func CheckRequestHead(raw []byte) error {
	_, err := checkRequest(raw)
	return err
}

func checkRequest(raw []byte) (framing, error) {
	line, rest := cutLine(raw)
	minor, err := checkRequestLine(line)
	if err != nil {
		return framing{}, err
	}
	f, err := checkFields(rest)
	if err != nil {
		return f, err
	}
	return f, f.checkRequest(minor)
}

func (f *framing) checkRequest(minor byte) error {
	switch {
	case f.coding && f.length:
		return bad("both Transfer-Encoding and Content-Length")
	case f.coding && minor == 0:
		return bad("Transfer-Encoding in HTTP/1.0")
	case f.coding && !f.chunked:
		return &HeadError{Status: 501, Text: "Transfer-Encoding other than chunked"}
	case f.hosts > 1:
		return bad("more than one Host")
	case f.hosts == 0 && minor == 1:
		return bad("no Host")
	}
	return nil
}

// CheckResponseHead refuses a response head that two readers could read differently.
func CheckResponseHead(raw []byte) error {
	_, err := checkResponse(raw)
	return err
}

func checkResponse(raw []byte) (framing, error) {
	line, rest := cutLine(raw)
	minor, ok := statusLine(line)
	if !ok {
		return framing{}, bad("malformed status line")
	}
	f, err := checkFields(rest)
	if err != nil {
		return f, err
	}
	if f.coding && (!f.chunked || f.length || minor == 0) {
		return f, bad("ambiguous length of the response")
	}
	return f, nil
}

// statusLine wants "HTTP/1.x nnn", a space and a reason, or without both, and returns x.
func statusLine(line []byte) (minor byte, ok bool) {
	const least = len("HTTP/1.1 200")
	if len(line) < least || len(line) > least && line[least] != ' ' || hasControl(line) {
		return 0, false
	}
	switch string(line[:9]) {
	case "HTTP/1.1 ":
		minor = 1
	case "HTTP/1.0 ":
	default:
		return 0, false
	}
	for i, c := range line[9:12] {
		if c < '0' || c > '9' || i == 0 && c == '0' {
			return 0, false
		}
	}
	return minor, true
}

// cutLine splits at the first CRLF; a line without one is returned whole.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return b, nil
	}
	if i > 0 && b[i-1] == '\r' {
		return b[:i-1], b[i+1:]
	}
	return b[:i+1], b[i+1:] // the bare LF stays in the line, where it is refused
}

// checkRequestLine wants "METHOD target HTTP/1.x" with single spaces and returns x.
func checkRequestLine(line []byte) (minor byte, err error) {
	method, rest, ok := bytes.Cut(line, []byte{' '})
	if !ok || len(method) == 0 || !isToken(method) {
		return 0, bad("malformed request line")
	}
	target, proto, ok := bytes.Cut(rest, []byte{' '})
	if !ok || len(target) == 0 || hasControl(rest) || bytes.IndexByte(target, '\t') >= 0 {
		return 0, bad("malformed request line")
	}
	switch string(proto) {
	case "HTTP/1.1":
		return 1, nil
	case "HTTP/1.0":
		return 0, nil
	}
	if bytes.HasPrefix(proto, []byte("HTTP/")) {
		return 0, &HeadError{Status: 505, Text: "HTTP version not supported"}
	}
	return 0, bad("malformed request line")
}

// framing is what the fields of a head say about its body and host.
type framing struct {
	length, coding, chunked bool
	hosts                   int
	// trailer says that fields are announced that follow the body.
	trailer bool
}

func checkFields(b []byte) (f framing, err error) {
	for n := 0; ; n++ {
		line, rest := cutLine(b)
		if len(line) == 0 {
			return f, nil
		}
		if n == MaxFields {
			return f, ErrHeadTooLarge
		}
		if err := f.add(line); err != nil {
			return f, err
		}
		b = rest
	}
}

func (f *framing) add(line []byte) error {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || !isToken(line[:colon]) {
		return bad("malformed header field name")
	}
	name, value := line[:colon], bytes.Trim(line[colon+1:], " \t")
	if hasControl(value) {
		return bad("control character in a header field")
	}
	switch len(name) {
	case len("host"):
		if equalFold(name, "host") {
			f.hosts++
		}
	case len("trailer"):
		f.trailer = f.trailer || equalFold(name, "trailer")
	case len("content-length"):
		if equalFold(name, "content-length") {
			return f.addLength(value)
		}
	case len("transfer-encoding"):
		if equalFold(name, "transfer-encoding") {
			return f.addCoding(value)
		}
	}
	return nil
}

func (f *framing) addLength(value []byte) error {
	if f.length {
		return bad("more than one Content-Length")
	}
	f.length = true
	if len(value) == 0 || len(value) > 18 {
		return bad("malformed Content-Length")
	}
	for _, c := range value {
		if c < '0' || c > '9' {
			return bad("malformed Content-Length")
		}
	}
	return nil
}

func (f *framing) addCoding(value []byte) error {
	if f.coding {
		return bad("more than one Transfer-Encoding")
	}
	f.coding = true
	f.chunked = equalFold(value, "chunked")
	return nil
}

// equalFold compares with a lower-case ASCII string.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range b {
		c := b[i]
		if c-'A' < 26 {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// class of a byte in a head.
const (
	tokenByte   = 1 // tchar of RFC 9110, section 5.6.2
	controlByte = 2 // not allowed in a field value: CTL but HTAB
)

var classes = func() (t [256]uint8) {
	for c := range 256 {
		if c < 0x20 && c != '\t' || c == 0x7f {
			t[c] = controlByte
		}
	}
	for _, c := range "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" {
		t[c] = tokenByte
	}
	return t
}()

// ValidMethod says whether a method is a token.
func ValidMethod(s string) bool { return s != "" && isToken(s) }

func isToken[T string | []byte](b T) bool {
	for i := range len(b) {
		if classes[b[i]] != tokenByte {
			return false
		}
	}
	return true
}

func hasControl(b []byte) bool {
	for _, c := range b {
		if classes[c] == controlByte {
			return true
		}
	}
	return false
}
