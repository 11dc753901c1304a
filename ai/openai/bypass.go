package openai

import (
	"bytes"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// Speaks is true for all that a client of OpenAI's schema sends a body for.
func (Provider) Speaks(s ai.Schema, op ai.Op) bool {
	if s != ai.OpenAI && s != ai.AzureOpenAI {
		return false
	}
	return op == ai.OpChat || op == ai.OpCompletion || op == ai.OpEmbeddings
}

// ForwardRequest changes model, and stream_options.include_usage of a stream, and nothing else.
func (p Provider) ForwardRequest(x *ai.Exchange, out *ai.HTTPRequest) error {
	out.Reset()
	p.route(x, out)
	var model [128]byte
	edits := [2]jsonscan.Edit{{Key: "model", Value: jsonscan.AppendQuoted(model[:0], x.Target.Model)}}
	n := 1
	if x.Request.Stream && !x.Request.WantsUsage && x.Op != ai.OpEmbeddings {
		edits[n] = jsonscan.Edit{Key: "stream_options", Value: streamOptions(x.Request.Raw)}
		n++
	}
	out.Forward(x, edits[:n])
	return nil
}

var includeUsage = []byte(`{"include_usage":true}`)

// streamOptions are the client's, with usage.
func streamOptions(body []byte) []byte {
	given := member(body, "stream_options")
	if given == nil {
		return includeUsage
	}
	return jsonscan.AppendReplaced(nil, given, "include_usage", []byte("true"))
}

// Scan reads usage and the finish reason of a whole answer.
func (Provider) Scan(x *ai.Exchange, body []byte) error {
	if jsonscan.Kind(jsonscan.Trim(body)) != jsonscan.Object {
		return errNotJSON
	}
	for k, v := range jsonscan.Fields(body) {
		switch string(k) {
		case "usage":
			scanUsage(&x.Usage, v)
		case "choices":
			for c := range jsonscan.Elems(v) {
				x.Finish = finish(jsonscan.Get(c, "finish_reason"), !isEmpty(jsonscan.Get(jsonscan.Get(c, "message"), "tool_calls")))
				break
			}
		}
	}
	return nil
}

var usageKey = []byte(`"usage"`)

// AppendFrame leaves out the usage that ForwardRequest asked for: the chunk that has nothing else, and the member of others.
func (Provider) AppendFrame(dst []byte, x *ai.Exchange, f ai.Frame) []byte {
	if x.Request.WantsUsage || !bytes.Contains(f.Data, usageKey) {
		return append(dst, f.Raw...)
	}
	start := len(dst)
	if len(f.Event) > 0 {
		dst = append(append(append(dst, "event: "...), f.Event...), '\n')
	}
	dst = append(dst, "data: "...)
	data := len(dst)
	dst, usage := jsonscan.AppendRemoved(dst, f.Data, "usage")
	switch {
	case usage == nil:
		return append(dst[:start], f.Raw...)
	case jsonscan.Kind(usage) == jsonscan.Object && length(jsonscan.Get(f.Data, "choices")) == 0:
		return dst[:start]
	case bytes.IndexByte(dst[data:], '\n') >= 0:
		oneLine(dst[data:])
	}
	return append(dst, "\n\n"...)
}

// oneLine makes one line of a JSON text that stood on several: between members a new line is a space.
func oneLine(b []byte) {
	for i, c := range b {
		if c == '\n' {
			b[i] = ' '
		}
	}
}
