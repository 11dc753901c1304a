package simulator

import (
	"bytes"
	"regexp/syntax"
	"strconv"
	"strings"
)

const (
	schemaDepth = 8    // below it only required members are written
	schemaNodes = 2000 // bound of the values written for one schema
	schemaItems = 16   // bound of minItems and of a pattern's repetitions
	schemaChars = 1024 // bound of minLength
)

// fitting writes a JSON value that fits a JSON schema (the subset that vendors accept for tools and structured output).
type fitting struct {
	root  value
	r     *random
	nodes int
}

// appendFitting appends a value that fits schema; an absent schema gives an empty object.
func appendFitting(dst []byte, schema value, r *random) []byte {
	if schema.kind() != '{' {
		return append(dst, "{}"...)
	}
	f := fitting{root: schema, r: r}
	return f.append(dst, schema, nil, 0)
}

func (f *fitting) append(dst []byte, s value, name []byte, depth int) []byte {
	f.nodes++
	if s = f.resolve(s); f.nodes > schemaNodes || depth > 4*schemaDepth {
		return append(dst, "null"...)
	}
	if v := s.get("const"); len(v) > 0 {
		return append(dst, v...)
	}
	if v := pick(s.get("enum"), f.r); len(v) > 0 {
		return append(dst, v...)
	}
	switch typeOf(s) {
	case "object":
		return f.appendObject(dst, s, depth)
	case "array":
		return f.appendArray(dst, s, name, depth)
	case "integer", "number":
		return f.appendNumber(dst, s)
	case "boolean":
		return strconv.AppendBool(dst, f.r.below(2) == 0)
	case "null":
		return append(dst, "null"...)
	}
	return f.appendText(dst, s, name)
}

// resolve follows $ref within the schema and takes the first of several alternatives.
func (f *fitting) resolve(s value) value {
	for range schemaDepth {
		next := value(nil)
		if ref := s.get("$ref"); ref.kind() == '"' {
			next = f.find(string(ref.text(nil)))
		} else {
			for _, key := range []string{"anyOf", "oneOf", "allOf", "any_of"} {
				for alt := range s.get(key).items() {
					next = alt
					break
				}
			}
		}
		if next == nil {
			return s
		}
		s = next
	}
	return s
}

// find follows a JSON pointer such as "#/$defs/step".
func (f *fitting) find(ref string) value {
	at := f.root
	for part := range strings.SplitSeq(strings.TrimPrefix(strings.TrimPrefix(ref, "#"), "/"), "/") {
		if part != "" {
			at = at.get(strings.NewReplacer("~1", "/", "~0", "~").Replace(part))
		}
	}
	return at
}

// typeOf returns the first type other than null, in lower case (Gemini writes "STRING"), guessed where it is missing.
func typeOf(s value) string {
	t := s.get("type")
	name := string(t.text(nil))
	for alt := range t.items() {
		if name = string(alt.text(nil)); name != "null" {
			break
		}
	}
	switch {
	case name != "":
		return strings.ToLower(name)
	case s.get("properties").set():
		return "object"
	case s.get("items").set():
		return "array"
	}
	return "string"
}

func pick(list value, r *random) value {
	n := 0
	for range list.items() {
		n++
	}
	if n == 0 {
		return nil
	}
	n = r.below(n)
	for v := range list.items() {
		if n == 0 {
			return v
		}
		n--
	}
	return nil
}

func (f *fitting) appendObject(dst []byte, s value, depth int) []byte {
	dst = append(dst, '{')
	first := true
	for k, v := range s.get("properties").fields() {
		if depth >= schemaDepth && !contains(s.get("required"), k) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(appendString(dst, k), ':')
		dst = f.append(dst, v, k, depth+1)
	}
	return append(dst, '}')
}

func contains(list value, name []byte) bool {
	for v := range list.items() {
		if bytes.Equal(v.text(nil), name) {
			return true
		}
	}
	return false
}

func (f *fitting) appendArray(dst []byte, s value, name []byte, depth int) []byte {
	n := 2
	if depth >= schemaDepth {
		n = 0
	}
	if most, ok := whole(s.get("maxItems")); ok {
		n = min(n, most)
	}
	if least, ok := whole(s.get("minItems")); ok {
		n = max(n, min(least, schemaItems))
	}
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = f.append(dst, s.get("items"), name, depth+1)
	}
	return append(dst, ']')
}

// whole reads a count, which Gemini may write as a string.
func whole(v value) (int, bool) {
	if t := v.text(nil); t != nil {
		v = t
	}
	return v.number()
}

func (f *fitting) appendNumber(dst []byte, s value) []byte {
	low, high := limitOf(s, "minimum", "exclusiveMinimum", 1), limitOf(s, "maximum", "exclusiveMaximum", -1)
	from, to := 1.0, 100.0
	if low != nil {
		from, to = *low, max(*low, 100)
	}
	if high != nil {
		to = *high
		if low == nil {
			from = min(from, to)
		}
	}
	n := from
	if span := to - from; span >= 1 {
		n += float64(f.r.below(int(min(span, 1e6)) + 1))
	}
	if m, err := strconv.ParseFloat(string(s.get("multipleOf")), 64); err == nil && m > 0 {
		n = float64(int64(n/m)) * m
		if n < from {
			n += m
		}
	}
	return strconv.AppendFloat(dst, n, 'f', -1, 64)
}

// limitOf returns a bound of a number; an exclusive one is moved by step.
func limitOf(s value, name, exclusive string, step float64) *float64 {
	if n, err := strconv.ParseFloat(string(s.get(name)), 64); err == nil {
		return &n
	}
	if n, err := strconv.ParseFloat(string(s.get(exclusive)), 64); err == nil {
		n += step
		return &n
	}
	return nil
}

func (f *fitting) appendText(dst []byte, s value, name []byte) []byte {
	if p := s.get("pattern").text(nil); p != nil {
		if re, err := syntax.Parse(string(p), syntax.Perl); err == nil {
			return appendString(dst, f.matching(nil, re.Simplify()))
		}
	}
	if text, ok := formatted(string(s.get("format").text(nil))); ok {
		return appendString(dst, text)
	}
	text := append(bytes.ReplaceAll(name, []byte("_"), []byte(" ")), ' ')
	text = append(text, f.r.word()...)
	if least, ok := whole(s.get("minLength")); ok {
		for len(text) < min(least, schemaChars) {
			text = append(append(text, ' '), f.r.word()...)
		}
	}
	if most, ok := whole(s.get("maxLength")); ok && most >= 0 && len(text) > most {
		text = text[len(text)-most:]
	}
	return appendString(dst, bytes.TrimLeft(text, " "))
}

// formatted returns an example of a format that JSON Schema names.
func formatted(format string) (string, bool) {
	switch format {
	case "date-time":
		return "2026-01-02T03:04:05Z", true
	case "date":
		return "2026-01-02", true
	case "time":
		return "03:04:05Z", true
	case "duration":
		return "PT1H", true
	case "email":
		return "someone@example.com", true
	case "hostname":
		return "example.com", true
	case "ipv4":
		return "192.0.2.1", true
	case "ipv6":
		return "2001:db8::1", true
	case "uri":
		return "https://example.com/", true
	case "uuid":
		return "123e4567-e89b-42d3-a456-426614174000", true
	}
	return "", false
}

// matching appends a text that the simplified regular expression matches, its first alternative and least repetition.
func (f *fitting) matching(dst []byte, re *syntax.Regexp) []byte {
	switch re.Op {
	case syntax.OpLiteral:
		return append(dst, string(re.Rune)...)
	case syntax.OpCharClass:
		if len(re.Rune) > 0 {
			return append(dst, string(re.Rune[0])...)
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return append(dst, 'a'+byte(f.r.below(26)))
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			dst = f.matching(dst, sub)
		}
	case syntax.OpCapture, syntax.OpAlternate, syntax.OpPlus:
		return f.matching(dst, re.Sub[0])
	}
	return dst
}
