package guard

import (
	"bytes"

	"github.com/nantian-gw/nantian/ai"
)

// kind is what a string at a place is. Whatever is not of the form that its kind has is a text.
type kind uint8

const (
	text          kind = iota
	word               // one of the words of the schemas: a role, a type, a reason
	ident              // the name of something: an id, a model
	opaque             // base64, or numbers
	source             // data in base64, if the object says so
	dataURL            // data: with base64; other URLs are texts
	file               // a text in base64
	arguments          // JSON in a string, as the arguments of a tool
	modelName          // what routing has read
	probabilities      // OpenAI's logprobs: the text once more, in pieces
)

// place is a node of the tree of places where a schema has something else than text. What is not in the tree is text: so are
// members that nobody here knows, and their names.
type place struct {
	kind   kind
	fields map[string]*place
	elems  *place
	// rest is the place of members and elements that are not named; nil: free.
	rest *place
	// streamed marks a text that comes in pieces, frame by frame; choice an element of choices.
	streamed, choice bool
}

// free is where everything is text.
var free = &place{}

func (p *place) member(key []byte) (*place, bool) {
	if m, ok := p.fields[string(key)]; ok {
		return m, true
	}
	if p.rest != nil {
		return p.rest, false
	}
	return free, false
}

func (p *place) element() *place {
	switch {
	case p.elems != nil:
		return p.elems
	case p.fields == nil && p.kind != text:
		return p
	case p.rest != nil:
		return p.rest
	}
	return free
}

type members = map[string]*place

func object(m members) *place         { return &place{fields: m} }
func list(elem *place) *place         { return &place{elems: elem} }
func both(m members, e *place) *place { return &place{fields: m, elems: e} }
func of(k kind) *place                { return &place{kind: k} }
func streamed(k kind) *place          { return &place{kind: k, streamed: true} }
func with(m members, n members) members {
	for k, v := range n {
		m[k] = v
	}
	return m
}

// The places of a schema: its requests, its whole answers, the frames of its streams.
type schema struct{ request, answer, frame *place }

var schemas = map[ai.Schema]*schema{ai.OpenAI: openAI(), ai.Anthropic: anthropic()}

// openAI follows https://platform.openai.com/docs/api-reference, and what servers compatible with it add to messages.
func openAI() *schema {
	function := object(members{"name": of(text), "arguments": of(arguments)})
	custom := object(members{"name": of(text), "input": of(text)})
	call := object(members{"id": of(ident), "type": of(word), "index": of(text), "function": function, "custom": custom})
	detail := object(members{"id": of(ident), "type": of(word), "format": of(ident), "index": of(text), "text": of(text), "summary": of(text), "signature": of(opaque), "data": of(opaque)})
	part := object(members{
		"type": of(word), "text": of(text),
		"image_url":   both(members{"url": of(dataURL), "detail": of(word)}, nil),
		"input_audio": object(members{"data": of(opaque), "format": of(word)}),
		"file":        object(members{"file_data": of(dataURL), "file_id": of(ident), "filename": of(text)}),
		"refusal":     of(text), "cache_control": object(members{"type": of(word), "ttl": of(word)}),
	})
	message := members{
		"role": of(word), "name": of(text), "content": list(part), "refusal": of(text), "reasoning_content": of(text), "reasoning": of(text),
		"reasoning_details": list(detail), "tool_calls": list(call), "tool_call_id": of(ident), "function_call": function,
		"audio":       object(members{"id": of(ident), "data": of(opaque), "transcript": of(text), "expires_at": of(opaque), "format": of(word), "voice": of(word)}),
		"annotations": free, "images": list(object(members{"type": of(word), "index": of(text), "image_url": object(members{"url": of(dataURL)})})),
	}
	tool := object(members{"type": of(word), "function": object(members{"name": of(text), "description": of(text), "parameters": free, "strict": of(text)}), "custom": free})
	request := object(members{
		"model": of(modelName), "messages": list(object(message)), "prompt": of(text), "input": of(text), "suffix": of(text), "stream": of(text),
		"tools": list(tool), "functions": list(object(members{"name": of(text), "description": of(text), "parameters": free})),
		"tool_choice":    both(members{"type": of(word), "function": object(members{"name": of(text)})}, nil).as(word),
		"function_call":  both(members{"name": of(text)}, nil).as(word),
		"stream_options": object(members{"include_usage": of(text)}), "encoding_format": of(word), "service_tier": of(word), "reasoning_effort": of(word),
		"response_format": object(members{"type": of(word), "json_schema": free}), "modalities": list(of(word)),
		"max_tokens": of(text), "max_completion_tokens": of(text), "temperature": of(text), "top_p": of(text), "n": of(text), "stop": of(text), "user": of(text),
		"seed": of(text), "logprobs": of(text), "top_logprobs": of(text), "presence_penalty": of(text), "frequency_penalty": of(text), "logit_bias": of(text),
		"metadata": free, "store": of(text), "parallel_tool_calls": of(text), "dimensions": of(text), "echo": of(text), "best_of": of(text),
		"prediction": object(members{"type": of(word), "content": list(part)}), "audio": object(members{"format": of(word), "voice": of(word)}),
		"verbosity": of(word), "prompt_cache_key": of(text), "safety_identifier": of(text),
	})
	usage := object(members{
		"prompt_tokens": of(text), "completion_tokens": of(text), "total_tokens": of(text),
		"prompt_tokens_details":     object(members{"cached_tokens": of(text), "audio_tokens": of(text)}),
		"completion_tokens_details": object(members{"reasoning_tokens": of(text), "audio_tokens": of(text), "accepted_prediction_tokens": of(text), "rejected_prediction_tokens": of(text)}),
	})
	envelope := func() members {
		return members{"id": of(ident), "object": of(word), "created": of(opaque), "model": of(ident), "system_fingerprint": of(ident), "service_tier": of(word), "usage": usage}
	}
	choice := func() members {
		return members{"index": of(text), "finish_reason": of(word), "stop_reason": of(text), "native_finish_reason": of(word), "logprobs": of(probabilities), "text": of(text)}
	}
	answer := object(with(envelope(), members{
		"choices": list(object(with(choice(), members{"message": object(message)}))),
		"data":    list(object(members{"object": of(word), "index": of(text), "embedding": of(opaque)})),
	}))
	frame := object(with(envelope(), members{"choices": list(&place{choice: true, fields: with(choice(), members{
		"text": streamed(text), "delta": openAIDelta(),
	})})}))
	return &schema{request, answer, frame}
}

// as gives an object a kind, for where a string may stand in its place.
func (p *place) as(k kind) *place {
	p.kind = k
	return p
}

// openAIDelta is a piece of a message. All texts in it are streamed, also those that nobody here knows: vendors have names of their
// own for thoughts.
func openAIDelta() *place {
	unknown := &place{streamed: true}
	unknown.rest = unknown
	in := func(m members) *place { return &place{fields: m, rest: unknown, streamed: true} }
	function := in(members{"name": of(text), "arguments": streamed(arguments)})
	call := in(members{"id": of(ident), "type": of(word), "index": of(text), "function": function, "custom": in(members{"name": of(text), "input": streamed(text)})})
	detail := in(members{"id": of(ident), "type": of(word), "format": of(ident), "index": of(text), "text": streamed(text), "summary": streamed(text), "signature": of(opaque), "data": of(opaque)})
	return in(members{
		"role": of(word), "content": &place{streamed: true, elems: in(members{"type": of(word), "text": streamed(text)})}, "refusal": streamed(text),
		"reasoning_content": streamed(text), "reasoning": streamed(text), "reasoning_details": &place{elems: detail},
		"tool_calls": &place{elems: call}, "function_call": function, "annotations": free,
		"audio":  in(members{"id": of(ident), "data": of(opaque), "transcript": streamed(text), "expires_at": of(opaque)}),
		"images": list(object(members{"type": of(word), "index": of(text), "image_url": object(members{"url": of(dataURL)})})),
	})
}

// anthropic follows https://platform.claude.com/docs/en/api/messages.
func anthropic() *schema {
	src := object(members{"type": of(word), "media_type": of(word), "data": of(source), "url": of(text), "file_id": of(ident)})
	block := object(nil)
	block.fields = members{
		"type": of(word), "text": of(text), "thinking": of(text), "signature": of(opaque), "data": of(source), "id": of(ident), "name": of(text),
		"input": free, "tool_use_id": of(ident), "content": list(block), "source": src, "title": of(text), "context": of(text), "is_error": of(text),
		"cache_control": object(members{"type": of(word), "ttl": of(word)}), "citations": free, "encrypted_content": of(opaque),
		"encrypted_index": of(opaque), "page_age": of(text), "url": of(text),
	}
	src.fields["content"] = list(block)
	message := object(members{"role": of(word), "content": list(block)})
	tool := object(members{"type": of(word), "name": of(text), "description": of(text), "input_schema": free, "cache_control": object(members{"type": of(word), "ttl": of(word)})})
	request := object(members{
		"model": of(modelName), "messages": list(message), "system": list(block), "tools": list(tool), "max_tokens": of(text), "stream": of(text),
		"tool_choice": object(members{"type": of(word), "name": of(text), "disable_parallel_tool_use": of(text)}),
		"thinking":    object(members{"type": of(word), "budget_tokens": of(text)}), "temperature": of(text), "top_p": of(text), "top_k": of(text),
		"stop_sequences": of(text), "metadata": object(members{"user_id": of(text)}), "service_tier": of(word),
		"output_config": object(members{"effort": of(word), "format": free}),
	})
	usage := object(members{
		"input_tokens": of(text), "output_tokens": of(text), "cache_creation_input_tokens": of(text), "cache_read_input_tokens": of(text), "service_tier": of(word),
		"cache_creation": object(members{"ephemeral_5m_input_tokens": of(text), "ephemeral_1h_input_tokens": of(text)}), "server_tool_use": free,
	})
	answer := object(members{
		"id": of(ident), "type": of(word), "role": of(word), "model": of(ident), "content": list(block), "stop_reason": of(word),
		"stop_sequence": of(text), "usage": usage, "input_tokens": of(text), "container": object(members{"id": of(ident), "expires_at": of(text)}), "stop_details": free,
	})
	start := object(with(members{}, block.fields))
	start.fields["text"], start.fields["thinking"] = streamed(text), streamed(text)
	unknown := &place{streamed: true}
	unknown.rest = unknown
	delta := &place{rest: unknown, fields: members{
		"type": of(word), "text": streamed(text), "thinking": streamed(text), "partial_json": streamed(arguments), "signature": of(opaque),
		"citation": free, "stop_reason": of(word), "stop_sequence": of(text), "stop_details": free, "container": answer.fields["container"],
	}}
	frame := object(members{
		"type": of(word), "index": of(text), "message": answer, "content_block": start, "delta": delta, "usage": usage,
		"error": object(members{"type": of(word), "message": of(text)}), "request_id": of(ident),
	})
	return &schema{request, answer, frame}
}

// words are those that the schemas have for roles, types, reasons and choices.
var words = func() map[string]bool {
	m := map[string]bool{}
	for w := range bytes.FieldsSeq([]byte(`system developer user assistant tool function text image_url input_audio file refusal image document thinking
		redacted_thinking tool_use tool_result server_tool_use mcp_tool_use mcp_tool_result web_search_tool_result web_fetch_tool_result
		code_execution_tool_result search_result container_upload custom auto none required any enabled disabled adaptive base64 url content float
		json_object json_schema ephemeral 5m 1h low medium high minimal xhigh max default flex priority standard standard_only scale batch audio wav mp3
		flac opus pcm16 alloy ash ballad coral echo fable nova onyx sage shimmer verse stop length tool_calls function_call content_filter end_turn
		max_tokens stop_sequence pause_turn refusal model_context_window_exceeded error chat.completion chat.completion.chunk text_completion list
		embedding message message_start message_delta message_stop content_block_start content_block_delta content_block_stop ping text_delta
		input_json_delta thinking_delta signature_delta citations_delta compaction_delta reasoning.text reasoning.summary reasoning.encrypted image/png
		image/jpeg image/gif image/webp application/pdf text/plain web_search_20250305 bash_20250124 text_editor_20250728 computer_20250124
		invalid_request_error authentication_error permission_error not_found_error rate_limit_error api_error overloaded_error`)) {
		m[string(w)] = true
	}
	return m
}()

// longestIdent is the longest name of something that is taken for one, in bytes.
const longestIdent = 256

// exempt says whether a string has the form of its place's kind.
func (p *place) exempt(t []byte) bool {
	switch p.kind {
	case word:
		return words[string(t)]
	case ident:
		return len(t) <= longestIdent && all(t, isIdent)
	case opaque:
		return all(t, isBase64)
	case dataURL:
		return isDataURL(t)
	}
	return false
}

func all(t []byte, is func(byte) bool) bool {
	for _, c := range t {
		if !is(c) {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isIdent(c byte) bool {
	return isAlnum(c) || c == '_' || c == '-' || c == '.' || c == ':' || c == '/' || c == '|' || c == '='
}

func isBase64(c byte) bool {
	return isAlnum(c) || c == '+' || c == '/' || c == '=' || c == '-' || c == '_' || c == '\n' || c == '\r'
}

// isTextual says whether a media type is one whose content could be read, and so has to be.
func isTextual(mime []byte) bool {
	return bytes.HasPrefix(mime, []byte("text/")) || bytes.Contains(mime, []byte("json")) || bytes.Contains(mime, []byte("xml")) ||
		bytes.Contains(mime, []byte("yaml")) || len(mime) == 0
}
