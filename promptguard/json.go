package promptguard

import (
	"context"
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// A JSONStream guards JSON that comes in pieces, as the arguments of a streamed tool call: each string of it, keys too, is a
// text of its own, judged without its escapes and written with those it needs; so is each number, which becomes a string
// where it is masked. What is between them passes. One goroutine at a time may use it.
type JSONStream struct {
	set     *Set
	vault   *Vault
	restore bool

	inner    *Stream // of the string or number that is being read
	state    jsonState
	escape   []byte // an escape that is not complete
	high     rune   // a surrogate that waits for its other half
	number   []byte // a number that is not complete
	out      []byte
	decoded  []byte
	findings []Finding
	action   Action
	offset   int // in the whole text, of the string that is being read
	pos      int
	blocked  bool
}

type jsonState uint8

const (
	jsonBetween jsonState = iota
	jsonString
	jsonEscape
	jsonNumber
)

// maxJSONNumber is how long a number may be that is looked at.
const maxJSONNumber = 64

var errNumber = errors.New("promptguard: a number of more than 64 bytes in JSON")

// NewJSONStream returns a JSONStream, with the arguments of NewStream.
func NewJSONStream(set *Set, vault *Vault, restore bool) *JSONStream {
	return &JSONStream{set: set, vault: vault, restore: restore}
}

// Reset makes the stream one for other JSON.
func (j *JSONStream) Reset() {
	j.state, j.high, j.offset, j.pos, j.blocked = jsonBetween, 0, 0, 0, false
	j.escape, j.number, j.decoded = j.escape[:0], j.number[:0], j.decoded[:0]
}

// Push takes the next piece. Findings have the offset of the string or number that they are in, in the JSON; the offsets are
// those of Stream otherwise.
func (j *JSONStream) Push(ctx context.Context, delta []byte) (release []byte, v Verdict, err error) {
	if j.blocked {
		return nil, Verdict{Action: Block}, ErrBlocked
	}
	j.out, j.findings, j.action = j.out[:0], nil, Allow
	for _, c := range delta {
		j.pos++
		if err := j.byte(ctx, c); err != nil {
			j.blocked = true
			return nil, Verdict{}, err
		}
		if j.blocked {
			break
		}
	}
	if err := j.flush(ctx); err != nil {
		j.blocked = true
		return nil, Verdict{}, err
	}
	return j.out, Verdict{Action: j.action, Findings: j.findings}, nil
}

// Close ends the JSON, complete or not, and returns what was held back.
func (j *JSONStream) Close(ctx context.Context) (release []byte, v Verdict, err error) {
	if j.blocked {
		return nil, Verdict{Action: Block}, ErrBlocked
	}
	j.out, j.findings, j.action = j.out[:0], nil, Allow
	switch j.state {
	case jsonString, jsonEscape:
		j.endSurrogate()
		err = j.end(ctx)
		j.out = append(j.out, j.escape...)
	case jsonNumber:
		err = j.endNumber(ctx)
	}
	return j.out, Verdict{Action: j.action, Findings: j.findings}, err
}

func (j *JSONStream) byte(ctx context.Context, c byte) error {
	switch j.state {
	case jsonString:
		return j.inString(ctx, c)
	case jsonEscape:
		j.escape = append(j.escape, c)
		j.unescape()
		return nil
	case jsonNumber:
		if c >= '0' && c <= '9' || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-' {
			if j.number = append(j.number, c); len(j.number) > maxJSONNumber {
				return errNumber
			}
			return nil
		}
		if err := j.endNumber(ctx); err != nil || j.blocked {
			return err
		}
	}
	switch {
	case c == '"':
		j.begin(jsonString)
	case c >= '0' && c <= '9' || c == '-':
		j.begin(jsonNumber)
		j.number = append(j.number[:0], c)
		return nil
	}
	j.out = append(j.out, c)
	return nil
}

func (j *JSONStream) begin(s jsonState) {
	j.state, j.offset = s, j.pos
	if s == jsonNumber {
		j.offset--
	}
	if j.inner == nil {
		j.inner = NewStream(j.set, j.vault, j.restore)
	} else {
		j.inner.Reset()
	}
}

func (j *JSONStream) inString(ctx context.Context, c byte) error {
	switch c {
	case '\\':
		j.state, j.escape = jsonEscape, append(j.escape[:0], c)
		return nil
	case '"':
		j.endSurrogate()
		if err := j.end(ctx); err != nil || j.blocked {
			return err
		}
		j.state, j.out = jsonBetween, append(j.out, c)
		return nil
	}
	j.endSurrogate()
	j.decoded = append(j.decoded, c)
	return nil
}

// unescape decodes an escape as soon as it is complete (RFC 8259, section 7). What is none is text.
func (j *JSONStream) unescape() {
	e := j.escape
	if e[1] != 'u' {
		j.endSurrogate()
		if c, ok := shortEscapes[e[1]]; ok {
			j.decoded = append(j.decoded, c)
		} else {
			j.decoded = append(j.decoded, e...)
		}
	} else if len(e) < 6 {
		return
	} else {
		j.unicode(hexRune(e[2:]))
	}
	j.state, j.escape = jsonString, j.escape[:0]
}

var shortEscapes = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func hexRune(digits []byte) rune {
	var r rune
	for _, c := range digits {
		switch {
		case is(c, isDigit):
			r = r<<4 | rune(c-'0')
		case is(c, isHex):
			r = r<<4 | rune(lower(c)-'a'+10)
		default:
			return utf8.RuneError
		}
	}
	return r
}

func (j *JSONStream) unicode(r rune) {
	if j.high != 0 {
		if both := utf16.DecodeRune(j.high, r); both != utf8.RuneError {
			j.high = 0
			j.decoded = utf8.AppendRune(j.decoded, both)
			return
		}
	}
	j.endSurrogate()
	if r >= 0xD800 && r < 0xDC00 {
		j.high = r
		return
	}
	j.decoded = utf8.AppendRune(j.decoded, r)
}

// endSurrogate gives up on the other half of a pair.
func (j *JSONStream) endSurrogate() {
	if j.high != 0 {
		j.high = 0
		j.decoded = utf8.AppendRune(j.decoded, utf8.RuneError)
	}
}

// flush passes the decoded part of a string to its stream.
func (j *JSONStream) flush(ctx context.Context) error {
	if len(j.decoded) == 0 || j.blocked {
		return nil
	}
	release, v, err := j.inner.Push(ctx, j.decoded)
	j.decoded = j.decoded[:0]
	return j.take(release, v, err)
}

func (j *JSONStream) end(ctx context.Context) error {
	if err := j.flush(ctx); err != nil || j.blocked {
		return err
	}
	return j.take(j.inner.Close(ctx))
}

func (j *JSONStream) take(release []byte, v Verdict, err error) error {
	j.out = appendEscaped(j.out, release)
	j.note(v)
	return err
}

func (j *JSONStream) note(v Verdict) {
	for _, f := range v.Findings {
		f.Start += j.offset
		f.End += j.offset
		j.findings = append(j.findings, f)
	}
	j.action = max(j.action, v.Action)
	j.blocked = j.blocked || v.Action == Block
}

// endNumber judges a number as a whole.
func (j *JSONStream) endNumber(ctx context.Context) error {
	j.state = jsonBetween
	whole, v, err := j.inner.Push(ctx, j.number)
	text := append([]byte(nil), whole...)
	j.note(v)
	if err != nil || j.blocked {
		return err
	}
	whole, v, err = j.inner.Close(ctx)
	text = append(text, whole...)
	j.note(v)
	if err != nil || j.blocked {
		return err
	}
	if string(text) == string(j.number) {
		j.out = append(j.out, text...)
	} else {
		j.out = append(appendEscaped(append(j.out, '"'), text), '"')
	}
	return nil
}

// appendEscaped appends a text with the escapes that a JSON string needs.
func appendEscaped(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
