package simulator

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
)

const (
	maxDimensions  = 8192
	embeddingWords = 256 // words of a text that its vector depends on
)

// embedding returns the vector of a text, of length 1. It is a sum of one vector for each word, so that texts that share
// words are near each other.
func embedding(text []byte, dimensions int) []float32 {
	sum := make([]float32, dimensions)
	words := 0
	for word := range bytes.FieldsSeq(text) {
		r := random(hash(7, bytes.ToLower(word)))
		for i := range sum {
			sum[i] += float32(int64(r.next())>>40) / (1 << 23)
		}
		if words++; words == embeddingWords {
			break
		}
	}
	if words == 0 {
		sum[0] = 1
	}
	square := 0.0
	for _, x := range sum {
		square += float64(float64(x) * float64(x)) // rounded, so that no processor fuses it with the sum
	}
	scale := float32(1 / math.Sqrt(square))
	for i := range sum {
		sum[i] *= scale
	}
	return sum
}

func appendFloats(dst []byte, vector []float32) []byte {
	dst = append(dst, '[')
	for i, x := range vector {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendFloat(dst, float64(x), 'f', -1, 32)
	}
	return append(dst, ']')
}

// appendBase64 appends the vector as a string of little-endian 32-bit floats in base64, as OpenAI does.
func appendBase64(dst []byte, vector []float32) []byte {
	raw := make([]byte, 0, 4*len(vector))
	for _, x := range vector {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return append(base64.StdEncoding.AppendEncode(append(dst, '"'), raw), '"')
}

// input adds a text to embed.
func (c *call) input(text []byte) {
	c.countText(text)
	c.inputs = append(c.inputs, text)
}

// embeddings is OpenAI's POST /v1/embeddings.
type embeddings struct{ openai }

var _ protocol = embeddings{}

func (embeddings) read(c *call, body value) *apiError {
	c.dimensions = 1536
	for k, v := range body.fields() {
		switch string(k) {
		case "model":
			if e := c.readGeneration(k, v); e != nil {
				return e
			}
		case "input":
			c.readInput(v)
		case "dimensions":
			if e := c.readCount(&c.dimensions, k, v, 1, maxDimensions); e != nil {
				return e
			}
		case "encoding_format":
			c.base64 = v.is("base64")
		}
	}
	if len(c.inputs) == 0 {
		return invalid("input", "'input' is a required property: a text, or an array of texts or tokens that is not empty.")
	}
	return c.requireModel()
}

// readInput reads a text, a list of texts, tokens, or a list of lists of tokens.
func (c *call) readInput(v value) {
	if v.kind() == '"' {
		c.input(c.str(v))
	}
	tokens := 0
	for item := range v.items() {
		if item.kind() == '0' {
			tokens++
			continue
		}
		c.readInput(item)
	}
	if tokens > 0 {
		c.usage.input += tokens
		c.inputs = append(c.inputs, v)
	}
}

func (embeddings) appendAnswer(dst []byte, c *call) []byte {
	dst = append(dst, `{"object":"list","data":[`...)
	for i, text := range c.inputs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"object":"embedding","index":`...)
		dst = strconv.AppendInt(dst, int64(i), 10)
		dst = append(dst, `,"embedding":`...)
		vector := embedding(text, c.dimensions)
		if c.base64 {
			dst = appendBase64(dst, vector)
		} else {
			dst = appendFloats(dst, vector)
		}
		dst = append(dst, '}')
	}
	dst = append(dst, `],"model":`...)
	dst = appendString(dst, c.model)
	if !c.d.omitUsage {
		dst = append(dst, `,"usage":{"prompt_tokens":`...)
		dst = strconv.AppendInt(dst, int64(c.usage.input), 10)
		dst = append(dst, `,"total_tokens":`...)
		dst = append(strconv.AppendInt(dst, int64(c.usage.input), 10), '}')
	}
	return append(dst, '}')
}
