package guard

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"github.com/nantian-gw/nantian/ai/jsonscan"
)

var base64Mark = []byte(";base64,")

// isDataURL says whether a text is base64 of something that is no text, with or without the head of a data URL.
func isDataURL(t []byte) bool {
	head, data, ok := bytes.Cut(t, base64Mark)
	if !ok || !bytes.HasPrefix(head, []byte("data:")) || len(head) > longestIdent {
		return false
	}
	return !isTextual(head[len("data:"):]) && all(data, isBase64)
}

// file looks at a text that is sent as a file in base64. What is none passes as a place that holds no text does.
func (w *walker) file(head, data, t []byte) ([]byte, error) {
	decoded, alphabet, ok := decode64(w.decoded[:0], data)
	w.decoded = decoded
	if !ok {
		return w.scan(t)
	}
	out, err := w.scan(decoded)
	if err != nil || bytes.Equal(out, decoded) {
		return t, err
	}
	return alphabet.AppendEncode(bytes.Clone(head), out), nil
}

// decode64 decodes base64 of either alphabet (RFC 4648, sections 4 and 5), with padding or without, with space in it or percent
// signs in place of its signs (RFC 2397), as those read it who are lenient. It says which alphabet a writer is to use.
func decode64(room, data []byte) (decoded []byte, alphabet *base64.Encoding, ok bool) {
	alphabet = base64.StdEncoding
	plain := room
	for i := 0; i < len(data); i++ {
		c := data[i]
		if c == '%' && i+2 < len(data) {
			if n, err := strconv.ParseUint(string(data[i+1:i+3]), 16, 8); err == nil {
				c = byte(n)
				i += 2
			}
		}
		switch c {
		case ' ', '\t', '\n', '\r', '\f', '=':
			continue
		case '-':
			alphabet, c = base64.URLEncoding, '+'
		case '_':
			alphabet, c = base64.URLEncoding, '/'
		}
		plain = append(plain, c)
	}
	n, err := base64.RawStdEncoding.Decode(plain, plain) // what comes out is never ahead of what goes in
	return plain[:n], alphabet, err == nil && n > 0
}

// cutDataURL takes the data of a data URL in base64 from its head, in any case of the letters.
func cutDataURL(t []byte) (head, data []byte, ok bool) {
	comma := bytes.IndexByte(t[:min(len(t), longestHead)], ',')
	if comma < 0 {
		return nil, nil, false
	}
	head, mark := t[:comma+1], base64Mark
	ok = len(head) >= len("data:")+len(mark) && bytes.EqualFold(head[:len("data:")], []byte("data:")) && bytes.EqualFold(head[len(head)-len(mark):], mark)
	return head, t[comma+1:], ok
}

// longestHead is more than the head of any data URL has, in bytes.
const longestHead = 1024

// The places that a source can be.
var encodedData, encodedFile = of(opaque), of(file)

// sourcePlace is what the data of an object of Anthropic's is: base64 of what is no text or thoughts of its own, a text in base64,
// or a text.
func sourcePlace(obj []byte) *place {
	switch typ := jsonscan.Get(obj, "type"); {
	case jsonscan.Equal(typ, "base64"):
		if isTextual([]byte(jsonscan.Text(jsonscan.Get(obj, "media_type")))) {
			return encodedFile
		}
		return encodedData
	case jsonscan.Equal(typ, "redacted_thinking"):
		return encodedData
	}
	return free
}
