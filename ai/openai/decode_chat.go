package openai

import (
	"slices"
	"strings"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// DecodeChat decodes chat completions, and legacy completions as a chat of one user message. The deprecated functions become
// tools. allowed_tools become the tools that are left, which says the same to any provider.
func (Dialect) DecodeChat(op ai.Op, body []byte) (*ai.Chat, error) {
	d := decoder{c: &ai.Chat{Family: ai.OpenAI}}
	fields, prompt := chatFields, "messages"
	if op == ai.OpCompletion {
		fields, prompt = completionFields, "prompt"
	}
	if err := object(jsonscan.Trim(body)); err != nil {
		return nil, err
	}
	for k, v := range jsonscan.Fields(body) {
		if jsonscan.IsNull(v) {
			continue
		}
		read, known := fields[string(k)]
		if !known {
			d.extra(string(k), v)
			continue
		}
		if err := read(&d, v); err != nil {
			return nil, ai.Under(err, string(k))
		}
	}
	if len(d.c.Messages) == 0 {
		return nil, bad(prompt, required)
	}
	d.restrict()
	return d.c, nil
}

// decoder reads one request.
type decoder struct {
	c *ai.Chat
	// allowed are the names of allowed_tools, nil if there are none.
	allowed []string
}

// extra notes a field without a canonical form. The names of nested ones are paths.
func (d *decoder) extra(name string, v []byte) {
	d.c.Extra = append(d.c.Extra, ai.Field{Name: name, Value: v})
}

type fieldReader = func(d *decoder, v []byte) error

// into makes a reader of a value into one that stores it in the chat.
func into[T any](read func([]byte) (T, error), at func(c *ai.Chat) *T) fieldReader {
	return func(d *decoder, v []byte) (err error) {
		*at(d.c), err = read(v)
		return err
	}
}

// samplingFields are those that legacy completions have, too.
var samplingFields = map[string]fieldReader{
	"model":             func(*decoder, []byte) error { return nil },
	"stream_options":    func(*decoder, []byte) error { return nil },
	"stream":            into(flag, func(c *ai.Chat) *bool { return &c.Stream }),
	"temperature":       into(optFloat, func(c *ai.Chat) **float64 { return &c.Temperature }),
	"top_p":             into(optFloat, func(c *ai.Chat) **float64 { return &c.TopP }),
	"top_k":             into(optCount, func(c *ai.Chat) **int { return &c.TopK }),
	"frequency_penalty": into(optFloat, func(c *ai.Chat) **float64 { return &c.FrequencyPenalty }),
	"presence_penalty":  into(optFloat, func(c *ai.Chat) **float64 { return &c.PresencePenalty }),
	"seed":              into(optInt, func(c *ai.Chat) **int64 { return &c.Seed }),
	"stop":              into(stop, func(c *ai.Chat) *[]string { return &c.Stop }),
	"n":                 into(choices, func(c *ai.Chat) *int { return &c.N }),
	"user":              into(text, func(c *ai.Chat) *string { return &c.User }),
	"max_tokens":        maxTokens,
	"logit_bias":        logitBias,
}

var chatFields = merge(samplingFields, map[string]fieldReader{
	"max_completion_tokens": maxTokens,
	"messages":              messages,
	"logprobs":              into(optFlag, func(c *ai.Chat) **bool { return &c.Logprobs }),
	"top_logprobs":          into(optCount, func(c *ai.Chat) **int { return &c.TopLogprobs }),
	"parallel_tool_calls":   into(optFlag, func(c *ai.Chat) **bool { return &c.ParallelTools }),
	"store":                 into(optFlag, func(c *ai.Chat) **bool { return &c.Store }),
	"service_tier":          into(text, func(c *ai.Chat) *string { return &c.ServiceTier }),
	"response_format":       into(format, func(c *ai.Chat) **ai.Format { return &c.Format }),
	"metadata":              metadata,
	"tools":                 tools,
	"tool_choice":           toolChoice,
	"functions":             functions,
	"function_call":         functionChoice,
	"reasoning_effort":      effort,
	"reasoning":             reasoning,
	"thinking":              thinking,
	"modalities":            modalities,
})

func merge(a, b map[string]fieldReader) map[string]fieldReader {
	for k, v := range a {
		b[k] = v
	}
	return b
}

func maxTokens(d *decoder, v []byte) error {
	n, err := count(v)
	d.c.MaxOutput = max(d.c.MaxOutput, n)
	return err
}

func logitBias(d *decoder, v []byte) error {
	if !isEmpty(v) {
		d.c.LogitBias = v
	}
	return object(v)
}

func metadata(d *decoder, v []byte) error {
	if !isEmpty(v) {
		d.c.Metadata = v
	}
	return object(v)
}

// modalities are noted only if they ask for more than text.
func modalities(d *decoder, v []byte) error {
	if jsonscan.Kind(v) != jsonscan.Array {
		return expected("an array", v)
	}
	for e := range jsonscan.Elems(v) {
		if !jsonscan.Equal(e, "text") {
			d.extra("modalities", v)
			return nil
		}
	}
	return nil
}

// stop is a string or an array of them.
func stop(v []byte) (list []string, err error) {
	if jsonscan.Kind(v) == jsonscan.String {
		return []string{jsonscan.Text(v)}, nil
	}
	err = each(v, func(_ int, v []byte) error {
		s, err := text(v)
		list = append(list, s)
		return err
	})
	return list, err
}

func format(v []byte) (*ai.Format, error) {
	if err := object(v); err != nil {
		return nil, err
	}
	switch jsonscan.Text(jsonscan.Get(v, "type")) {
	case "text":
		return &ai.Format{Kind: ai.FormatText}, nil
	case "json_object":
		return &ai.Format{Kind: ai.FormatJSON}, nil
	case "json_schema":
		f, err := schemaFormat(member(v, "json_schema"))
		return f, ai.Under(err, "json_schema")
	}
	return nil, bad("type", `expected "text", "json_object" or "json_schema"`)
}

func schemaFormat(v []byte) (f *ai.Format, err error) {
	if len(v) == 0 {
		return nil, bad("", required)
	}
	if err := object(v); err != nil {
		return nil, err
	}
	f = &ai.Format{Kind: ai.FormatSchema, Schema: member(v, "schema")}
	if f.Name, err = needText(member(v, "name")); err != nil {
		return nil, ai.Under(err, "name")
	}
	if m := member(v, "description"); m != nil {
		if f.Description, err = text(m); err != nil {
			return nil, ai.Under(err, "description")
		}
	}
	if m := member(v, "strict"); m != nil {
		if f.Strict, err = optFlag(m); err != nil {
			return nil, ai.Under(err, "strict")
		}
	}
	if f.Schema != nil {
		err = ai.Under(object(f.Schema), "schema")
	}
	return f, err
}

const effortNone = "none"

func (d *decoder) reasoning() *ai.Reasoning {
	if d.c.Reasoning == nil {
		d.c.Reasoning = &ai.Reasoning{}
	}
	return d.c.Reasoning
}

func effort(d *decoder, v []byte) error {
	s, err := text(v)
	if err != nil {
		return err
	}
	switch s {
	case effortNone, "minimal", "low", "medium", "high", "xhigh", "max":
		r := d.reasoning()
		r.Effort, r.Off = s, s == effortNone
		return nil
	}
	return bad("", `expected "none", "minimal", "low", "medium", "high", "xhigh" or "max"`)
}

// reasoning is OpenRouter's field: https://openrouter.ai/docs/use-cases/reasoning-tokens.
func reasoning(d *decoder, v []byte) (err error) {
	if err := object(v); err != nil {
		return err
	}
	r := d.reasoning()
	for k, v := range jsonscan.Fields(v) {
		on := false
		switch string(k) {
		case "effort":
			err = effort(d, v)
		case "max_tokens":
			r.Budget, err = count(v)
		case "exclude":
			r.Hide, err = flag(v)
		case "enabled":
			on, err = flag(v)
			r.Off = !on
		default:
			d.extra("reasoning."+string(k), v)
		}
		if err != nil {
			return ai.Under(err, string(k))
		}
	}
	return nil
}

// thinking is Anthropic's field, which LiteLLM and others take from clients of OpenAI's schema.
func thinking(d *decoder, v []byte) (err error) {
	if err := object(v); err != nil {
		return err
	}
	r := d.reasoning()
	switch jsonscan.Text(jsonscan.Get(v, "type")) {
	case "enabled":
	case "disabled":
		r.Off = true
	case "adaptive", "auto":
		r.Adaptive = true
	default:
		return bad("type", `expected "enabled", "disabled" or "adaptive"`)
	}
	if m := member(v, "budget_tokens"); m != nil {
		r.Budget, err = count(m)
	}
	return ai.Under(err, "budget_tokens")
}

// restrict leaves the tools that allowed_tools names.
func (d *decoder) restrict() {
	if d.allowed == nil {
		return
	}
	d.c.Tools = slices.DeleteFunc(d.c.Tools, func(t ai.Tool) bool { return !slices.Contains(d.allowed, t.Name) })
}

// nested says whether an extra field is a path into a member.
func nested(name string) bool { return strings.ContainsAny(name, ".[") }
