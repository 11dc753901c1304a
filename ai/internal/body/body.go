// Package body writes the JSON body of a request member by member, so that the order of calls is the order of the body.
// It owns the commas; what is written is for the vendors' packages.
package body

import (
	"encoding/json"

	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// Writer appends to B. Its zero value is ready.
type Writer struct{ B []byte }

// Open begins an object that is the body or an element of an array; Object begins one that is a member.
func (w *Writer) Open() { w.B = append(jsonscan.AppendComma(w.B), '{') }

// Object begins an object that is a member.
func (w *Writer) Object(k string) { w.B = append(jsonscan.AppendKey(w.B, k), '{') }

// Shut ends an object.
func (w *Writer) Shut() { w.B = append(w.B, '}') }

// Array begins an array that is a member.
func (w *Writer) Array(k string) { w.B = append(jsonscan.AppendKey(w.B, k), '[') }

// End ends an array.
func (w *Writer) End() { w.B = append(w.B, ']') }

// Element writes a string in an array.
func (w *Writer) Element(s string) { w.B = jsonscan.AppendQuoted(jsonscan.AppendComma(w.B), s) }

// Text writes a string.
func (w *Writer) Text(k, v string) { w.B = jsonscan.AppendQuoted(jsonscan.AppendKey(w.B, k), v) }

// Int writes a whole number.
func (w *Writer) Int(k string, n int) { w.B = jsonscan.AppendInt(jsonscan.AppendKey(w.B, k), n) }

// Float writes a number, unless there is none.
func (w *Writer) Float(k string, f *float64) {
	if f != nil {
		w.B = jsonscan.AppendFloat(jsonscan.AppendKey(w.B, k), *f)
	}
}

// Bool writes true or false.
func (w *Writer) Bool(k string, v bool) { w.B = jsonscan.AppendBool(jsonscan.AppendKey(w.B, k), v) }

// Raw writes a value that is JSON already.
func (w *Writer) Raw(k string, v json.RawMessage) { w.B = append(jsonscan.AppendKey(w.B, k), v...) }

// AppendArguments appends the arguments of a tool call as an object. What a model once wrote that is none, and the text
// of a custom tool, becomes the member "input" of one.
func AppendArguments(dst []byte, arguments string, custom bool) []byte {
	raw := jsonscan.Trim([]byte(arguments))
	switch {
	case len(raw) == 0:
		return append(dst, "{}"...)
	case !custom && jsonscan.Kind(raw) == jsonscan.Object && jsonscan.Valid(raw) == nil:
		return append(dst, raw...)
	}
	dst = append(dst, `{"input":`...)
	return append(jsonscan.AppendQuoted(dst, arguments), '}')
}

// AppendCompact appends an object without the space between its tokens; {} for what is none.
func AppendCompact(dst, raw []byte) []byte {
	if jsonscan.Kind(raw) != jsonscan.Object {
		return append(dst, "{}"...)
	}
	inString := false
	for i := 0; i < len(raw); i++ {
		switch b := raw[i]; {
		case inString && b == '\\' && i+1 < len(raw):
			dst = append(dst, b)
			i++
		case b == '"':
			inString = !inString
		case !inString && (b == ' ' || b == '\n' || b == '\t' || b == '\r'):
			continue
		}
		dst = append(dst, raw[i])
	}
	return dst
}
