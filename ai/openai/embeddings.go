package openai

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// maxToken bounds the numbers of a vocabulary.
const maxToken = math.MaxInt32

// DecodeEmbed reads a request for embeddings: one text, several, one text as tokens, or several as tokens.
func (Dialect) DecodeEmbed(body []byte) (*ai.EmbedRequest, error) {
	if err := object(jsonscan.Trim(body)); err != nil {
		return nil, err
	}
	r := &ai.EmbedRequest{Family: ai.OpenAI}
	for k, v := range jsonscan.Fields(body) {
		if jsonscan.IsNull(v) {
			continue
		}
		if err := embedField(r, string(k), v); err != nil {
			return nil, ai.Under(err, string(k))
		}
	}
	if len(r.Inputs) == 0 {
		return nil, bad("input", required)
	}
	return r, nil
}

func embedField(r *ai.EmbedRequest, name string, v []byte) (err error) {
	switch name {
	case "model":
	case "input":
		r.Inputs, err = inputs(v)
	case "dimensions":
		r.Dimensions, err = choices(v)
	case "user":
		r.User, err = text(v)
	case "encoding_format":
		switch jsonscan.Text(v) {
		case "float":
		case "base64":
			r.Base64 = true
		default:
			err = bad("", `expected "float" or "base64"`)
		}
	default:
		r.Extra = append(r.Extra, ai.Field{Name: name, Value: v})
	}
	return err
}

func inputs(v []byte) (list []ai.EmbedInput, err error) {
	if jsonscan.Kind(v) == jsonscan.String {
		return []ai.EmbedInput{{Text: jsonscan.Text(v)}}, nil
	}
	for e := range jsonscan.Elems(v) {
		if jsonscan.Kind(e) == jsonscan.Number {
			t, err := tokenList(v)
			return []ai.EmbedInput{{Tokens: t}}, err
		}
		break
	}
	list = make([]ai.EmbedInput, 0, length(v))
	err = each(v, func(_ int, v []byte) (err error) {
		in := ai.EmbedInput{}
		if jsonscan.Kind(v) == jsonscan.Array {
			in.Tokens, err = tokenList(v)
		} else {
			in.Text, err = text(v)
		}
		list = append(list, in)
		return err
	})
	return list, err
}

func tokenList(v []byte) ([]int, error) {
	list := make([]int, 0, length(v))
	err := each(v, func(_ int, v []byte) error {
		n, err := count(v)
		if n > maxToken {
			err = bad("", "not a token")
		}
		list = append(list, n)
		return err
	})
	return list, err
}

// encodeEmbed writes one text as a string, all else as an array.
func (p Provider) encodeEmbed(x *ai.Exchange, out *ai.HTTPRequest) error {
	r, err := x.Embed()
	if err != nil {
		return err
	}
	e := encoder{c: &ai.Chat{Family: r.Family, Extra: r.Extra}, g: ai.NewGaps(x), b: append(out.Body[:0], '{')}
	e.text("model", x.Target.Model)
	e.key("input")
	if len(r.Inputs) == 1 && r.Inputs[0].Tokens == nil {
		e.b = jsonscan.AppendQuoted(e.b, r.Inputs[0].Text)
	} else {
		e.inputs(r.Inputs)
	}
	if r.Dimensions > 0 {
		e.int("dimensions", int64(r.Dimensions))
	}
	if r.Base64 {
		e.text("encoding_format", "base64")
	}
	if r.User != "" {
		e.text("user", r.User)
	}
	e.extras()
	e.raw("}")
	if err := e.g.Err(x, p.Schema()); err != nil {
		return err
	}
	out.Reset()
	p.route(x, out)
	out.Body = e.b
	return nil
}

func (e *encoder) inputs(list []ai.EmbedInput) {
	e.raw("[")
	for i := range list {
		e.b = jsonscan.AppendComma(e.b)
		if list[i].Tokens == nil {
			e.b = jsonscan.AppendQuoted(e.b, list[i].Text)
			continue
		}
		e.raw("[")
		for _, t := range list[i].Tokens {
			e.b = jsonscan.AppendInt(jsonscan.AppendComma(e.b), t)
		}
		e.raw("]")
	}
	e.raw("]")
}

// DecodeEmbeddings reads vectors of numbers or in base64, in the order of their indexes.
func (p Provider) DecodeEmbeddings(x *ai.Exchange, body []byte) (*ai.Embeddings, error) {
	body, err := p.answer(body)
	if err != nil {
		return nil, err
	}
	scanUsage(&x.Usage, jsonscan.Get(body, "usage"))
	data := jsonscan.Get(body, "data")
	e := &ai.Embeddings{Model: jsonscan.Text(jsonscan.Get(body, "model")), Vectors: make([][]float32, length(data))}
	n := 0
	for v := range jsonscan.Elems(data) {
		at := n
		if i, ok := jsonscan.Int(jsonscan.Get(v, "index")); ok {
			at = int(i)
		}
		if at < 0 || at >= len(e.Vectors) || e.Vectors[at] != nil {
			return nil, fmt.Errorf("the provider's embeddings have a wrong index: data[%d].index is %d", n, at)
		}
		if e.Vectors[at], err = vector(jsonscan.Get(v, "embedding")); err != nil {
			return nil, fmt.Errorf("read the provider's embeddings: data[%d].embedding: %w", n, err)
		}
		n++
	}
	if n == 0 {
		return nil, errors.New("the provider's answer has no embeddings")
	}
	return e, nil
}

func vector(v []byte) ([]float32, error) {
	if jsonscan.Kind(v) == jsonscan.String {
		b, err := base64.StdEncoding.DecodeString(jsonscan.Text(v))
		if err != nil || len(b)%4 != 0 {
			return nil, errors.New("expected float32 numbers in base64")
		}
		f := make([]float32, len(b)/4)
		for i := range f {
			f[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
		return f, nil
	}
	f := make([]float32, 0, length(v))
	for e := range jsonscan.Elems(v) {
		n, ok := jsonscan.Float(e)
		if !ok {
			return nil, errors.New("expected numbers")
		}
		f = append(f, float32(n))
	}
	if len(f) == 0 {
		return nil, errors.New("expected an array or a string")
	}
	return f, nil
}

// AppendEmbeddings writes vectors as numbers, or in base64 if the client asked for it.
func (Dialect) AppendEmbeddings(dst []byte, x *ai.Exchange, e *ai.Embeddings) ([]byte, error) {
	r, err := x.Embed()
	if err != nil {
		return dst, err
	}
	dst = append(dst, `{"object":"list","data":[`...)
	for i, v := range e.Vectors {
		dst = jsonscan.AppendInt(append(jsonscan.AppendComma(dst), `{"object":"embedding","index":`...), i)
		dst = append(dst, `,"embedding":`...)
		if r.Base64 {
			dst = appendBase64(dst, v)
		} else {
			dst = appendNumbers(dst, v)
		}
		dst = append(dst, '}')
	}
	model := e.Model
	if model == "" {
		model = x.Request.Model
	}
	dst = jsonscan.AppendQuoted(append(dst, `],"model":`...), model)
	dst = jsonscan.AppendInt(append(dst, `,"usage":{"prompt_tokens":`...), x.Usage.Input)
	dst = jsonscan.AppendInt(append(dst, `,"total_tokens":`...), x.Usage.Input+x.Usage.Output)
	return append(dst, "}}"...), nil
}

func appendNumbers(dst []byte, v []float32) []byte {
	dst = append(dst, '[')
	for _, f := range v {
		dst = jsonscan.AppendFloat32(jsonscan.AppendComma(dst), f)
	}
	return append(dst, ']')
}

func appendBase64(dst []byte, v []float32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, f := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}
