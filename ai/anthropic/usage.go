package anthropic

import (
	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// counts are Anthropic's own: input excludes what was read from and written to the cache, unlike ai.Usage. Those of a
// stream are cumulative, so a later one replaces an earlier one, and what it does not mention stays.
type counts struct {
	input, cached, written, output, thinking int
	known                                    bool
}

func (n *counts) read(usage []byte) {
	for k, v := range jsonscan.Fields(usage) {
		switch string(k) {
		case "input_tokens":
			n.set(&n.input, v)
		case "cache_read_input_tokens":
			n.set(&n.cached, v)
		case "cache_creation_input_tokens":
			n.set(&n.written, v)
		case "output_tokens":
			n.set(&n.output, v)
		case "output_tokens_details":
			n.set(&n.thinking, jsonscan.Get(v, "thinking_tokens"))
		}
	}
}

// set ignores null and what is no count.
func (n *counts) set(at *int, v []byte) {
	if i, ok := jsonscan.Int(v); ok && i >= 0 && i <= maxCount {
		*at, n.known = int(i), true
	}
}

func (n *counts) settle(u *ai.Usage) {
	if !n.known {
		return
	}
	*u = ai.Usage{
		Input:       n.input + n.cached + n.written,
		CachedInput: n.cached,
		CacheWrite:  n.written,
		Output:      n.output,
		Reasoning:   min(n.thinking, n.output),
		Known:       true,
	}
}

// appendUsage appends the members of a usage object.
func appendUsage(dst []byte, u *ai.Usage) []byte {
	fresh := max(u.Input-u.CachedInput-u.CacheWrite, 0)
	dst = jsonscan.AppendInt(append(dst, `"input_tokens":`...), fresh)
	dst = jsonscan.AppendInt(append(dst, `,"cache_creation_input_tokens":`...), u.CacheWrite)
	dst = jsonscan.AppendInt(append(dst, `,"cache_read_input_tokens":`...), u.CachedInput)
	dst = jsonscan.AppendInt(append(dst, `,"output_tokens":`...), u.Output)
	if u.Reasoning > 0 {
		dst = jsonscan.AppendInt(append(dst, `,"output_tokens_details":{"thinking_tokens":`...), u.Reasoning)
		dst = append(dst, '}')
	}
	return dst
}

// finish is the canonical word for a raw stop reason; an unknown one is an ordinary end, null is none.
func finish(raw []byte) ai.Finish {
	var room []byte
	switch reason := jsonscan.View(raw, &room); string(reason) {
	case "":
		return ""
	case "max_tokens", "model_context_window_exceeded":
		return ai.FinishLength
	case "stop_sequence":
		return ai.FinishStopSeq
	case "tool_use":
		return ai.FinishTools
	case "pause_turn":
		return ai.FinishPause
	case "refusal":
		return ai.FinishRefusal
	}
	return ai.FinishStop
}

func stopReason(f ai.Finish) string {
	switch f {
	case ai.FinishLength:
		return "max_tokens"
	case ai.FinishStopSeq:
		return "stop_sequence"
	case ai.FinishTools:
		return "tool_use"
	case ai.FinishPause:
		return "pause_turn"
	case ai.FinishRefusal, ai.FinishFilter:
		return "refusal"
	}
	return "end_turn"
}
