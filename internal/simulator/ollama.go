package simulator

import "strconv"

// ollama is what Ollama's operations share. Wire format: github.com/ollama/ollama/blob/main/docs/api.md.
type ollama struct{}

func (ollama) mime() string            { return "application/json; charset=utf-8" }
func (ollama) streamMime(*call) string { return "application/x-ndjson" }
func (ollama) keyHeader(*call) string  { return "" }
func (ollama) writeHead(*call)         {}

func (ollama) appendError(dst []byte, _ *call, e *apiError) []byte {
	return append(appendString(append(dst, `{"error":`...), e.message), '}')
}

func (o ollama) appendStreamError(dst []byte, c *call, e *apiError) []byte {
	return append(o.appendError(dst, c, e), '\n')
}

// ollamaTokenTime is the generation time of a token that the durations claim, in nanoseconds.
const ollamaTokenTime = 1_000_000

// appendOllamaHead appends a line up to what was generated.
func (c *call) appendOllamaHead(dst []byte) []byte {
	dst = append(dst, `{"model":`...)
	dst = appendString(dst, c.model)
	dst = append(dst, `,"created_at":"`...)
	return append(rfc3339(dst, c.s.opts.Now()), `",`...)
}

// appendOllamaDone appends the members that end an answer.
func (c *call) appendOllamaDone(dst []byte) []byte {
	dst = append(dst, `,"done":true,"done_reason":"`...)
	if c.choices[0].finish == finishLength {
		dst = append(dst, "length"...)
	} else {
		dst = append(dst, "stop"...)
	}
	dst = append(dst, '"')
	if c.d.omitUsage {
		return append(dst, '}')
	}
	u := &c.usage
	in, out := int64(u.input)*ollamaTokenTime/10, int64(u.output)*ollamaTokenTime
	for _, m := range []struct {
		name string
		n    int64
	}{
		{"total_duration", in + out + ollamaTokenTime}, {"load_duration", ollamaTokenTime},
		{"prompt_eval_count", int64(u.input)}, {"prompt_eval_duration", in},
		{"eval_count", int64(u.output)}, {"eval_duration", out},
	} {
		dst = append(append(append(dst, `,"`...), m.name...), `":`...)
		dst = strconv.AppendInt(dst, m.n, 10)
	}
	return append(dst, '}')
}

// readOllama reads a parameter that chat and generate share.
func (c *call) readOllama(key []byte, v value) *apiError {
	switch string(key) {
	case "model":
		return c.setModel(c.str(v))
	case "stream":
		c.stream = v.kind() != 'f'
	case "format":
		if v.is("json") {
			c.format = formatJSON
		} else if v.kind() == '{' {
			c.format, c.schema = formatSchema, v
		}
	case "think":
		c.reasoning = effort(string(c.str(v)))
		if v.truth() {
			c.reasoning = effort("medium")
		}
	case "options":
		if n, ok := v.get("num_predict").number(); ok && n > 0 {
			c.maxTokens = n
		}
		c.readStops(v.get("stop"))
	}
	return nil
}

func (c *call) requireOllamaModel() *apiError {
	if len(c.model) == 0 {
		return invalid("model", "model is required")
	}
	return nil
}

// ollamaGenerate is POST /api/generate.
type ollamaGenerate struct{ ollama }

var _ streamer = ollamaGenerate{}

func (ollamaGenerate) read(c *call, body value) *apiError {
	c.stream = true
	c.userMessage()
	for k, v := range body.fields() {
		if e := c.readOllama(k, v); e != nil {
			return e
		}
		switch string(k) {
		case "prompt":
			c.userText(c.str(v))
		case "system", "suffix":
			c.countText(c.str(v))
		case "images":
			for range v.items() {
				c.attach()
			}
		}
	}
	return c.requireOllamaModel()
}

func (ollamaGenerate) appendAnswer(dst []byte, c *call) []byte {
	dst = c.appendOllamaHead(dst)
	var text []byte
	for _, b := range c.of(&c.choices[0]) {
		if b.kind == blockThought {
			dst = append(appendString(append(dst, `"thinking":`...), b.data), ',')
		} else {
			text = b.data
		}
	}
	dst = appendString(append(dst, `"response":`...), text)
	return c.appendOllamaDone(dst)
}

func (ollamaGenerate) appendEvent(dst []byte, c *call, e *event) []byte {
	switch e.kind {
	case eventDelta:
		dst = c.appendOllamaHead(dst)
		if e.block.kind == blockThought {
			dst = appendString(append(dst, `"response":"","thinking":`...), e.data)
		} else {
			dst = appendString(append(dst, `"response":`...), e.data)
		}
		return append(dst, ",\"done\":false}\n"...)
	case eventEnd:
		dst = append(c.appendOllamaHead(dst), `"response":""`...)
		return append(c.appendOllamaDone(dst), '\n')
	}
	return dst
}

// ollamaEmbed is POST /api/embed.
type ollamaEmbed struct{ ollama }

var _ protocol = ollamaEmbed{}

func (ollamaEmbed) read(c *call, body value) *apiError {
	c.dimensions = 768
	for k, v := range body.fields() {
		switch string(k) {
		case "model":
			if e := c.setModel(c.str(v)); e != nil {
				return e
			}
		case "input":
			c.readInput(v)
		case "dimensions":
			if e := c.readCount(&c.dimensions, k, v, 1, maxDimensions); e != nil {
				return e
			}
		}
	}
	return c.requireOllamaModel()
}

func (ollamaEmbed) appendAnswer(dst []byte, c *call) []byte {
	dst = append(dst, `{"model":`...)
	dst = appendString(dst, c.model)
	dst = append(dst, `,"embeddings":[`...)
	for i, text := range c.inputs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendFloats(dst, embedding(text, c.dimensions))
	}
	dst = append(dst, `],"total_duration":1000000,"load_duration":100000,"prompt_eval_count":`...)
	return append(strconv.AppendInt(dst, int64(c.usage.input), 10), '}')
}

// ollamaTags is GET /api/tags.
type ollamaTags struct{ ollama }

var _ protocol = ollamaTags{}

func (ollamaTags) read(*call, value) *apiError { return nil }

func (ollamaTags) appendAnswer(dst []byte, c *call) []byte {
	dst = append(dst, `{"models":[`...)
	for i, m := range c.s.opts.Models {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(append(dst, `{"name":`...), m)
		dst = appendString(append(dst, `,"model":`...), m)
		dst = append(dst, `,"modified_at":"2026-01-01T00:00:00Z","size":0,"digest":"`...)
		for range 4 {
			dst = append(dst, "0123456789abcdef"...)
		}
		dst = append(dst, `","details":{"parent_model":"","format":"gguf","family":"simulator","families":["simulator"],`+
			`"parameter_size":"0B","quantization_level":"none"}}`...)
	}
	return append(dst, "]}"...)
}

// ollamaVersion is GET /api/version.
type ollamaVersion struct{ ollama }

var _ protocol = ollamaVersion{}

func (ollamaVersion) read(*call, value) *apiError { return nil }

func (ollamaVersion) appendAnswer(dst []byte, _ *call) []byte {
	return append(dst, `{"version":"0.12.0"}`...)
}
