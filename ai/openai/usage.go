package openai

import (
	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// scanUsage replaces u by a usage object; anything else leaves u as it is. Servers that send usage with every chunk count up,
// so that the last one is the truth.
func scanUsage(u *ai.Usage, v []byte) {
	if jsonscan.Kind(v) != jsonscan.Object {
		return
	}
	n, total := ai.Usage{}, 0
	for k, v := range jsonscan.Fields(v) {
		switch string(k) {
		case "prompt_tokens":
			n.Input = tokens(v)
		case "completion_tokens":
			n.Output = tokens(v)
		case "total_tokens":
			total = tokens(v)
		case "prompt_tokens_details":
			promptDetails(&n, v)
		case "completion_tokens_details":
			for k, v := range jsonscan.Fields(v) {
				switch string(k) {
				case "reasoning_tokens":
					n.Reasoning = tokens(v)
				case "audio_tokens":
					n.AudioOutput = tokens(v)
				}
			}
		case "prompt_cache_hit_tokens", "cached_tokens": // DeepSeek, Moonshot
			n.CachedInput = max(n.CachedInput, tokens(v))
		}
	}
	// xAI counts reasoning beside completion_tokens; only the total shows it.
	if n.Reasoning > 0 && total == n.Input+n.Output+n.Reasoning {
		n.Output += n.Reasoning
	}
	n.Known = n.Input > 0 || n.Output > 0 || total > 0
	if n.Known {
		*u = n
	}
}

func promptDetails(n *ai.Usage, v []byte) {
	for k, v := range jsonscan.Fields(v) {
		switch string(k) {
		case "cached_tokens":
			n.CachedInput = max(n.CachedInput, tokens(v))
		case "cache_write_tokens", "cache_creation_tokens": // OpenRouter, LiteLLM
			n.CacheWrite = tokens(v)
		case "audio_tokens":
			n.AudioInput = tokens(v)
		}
	}
}

// tokens reads a count; 0 for what is none.
func tokens(v []byte) int {
	n, ok := jsonscan.Int(v)
	if !ok || n < 0 || n > maxCount {
		return 0
	}
	return int(n)
}

// appendUsage appends a usage object.
func appendUsage(b []byte, u *ai.Usage) []byte {
	b = jsonscan.AppendInt(append(b, `{"prompt_tokens":`...), u.Input)
	b = jsonscan.AppendInt(append(b, `,"completion_tokens":`...), u.Output)
	b = jsonscan.AppendInt(append(b, `,"total_tokens":`...), u.Input+u.Output)
	b = jsonscan.AppendInt(append(b, `,"prompt_tokens_details":{"cached_tokens":`...), u.CachedInput)
	if u.CacheWrite > 0 {
		b = jsonscan.AppendInt(append(b, `,"cache_write_tokens":`...), u.CacheWrite)
	}
	b = jsonscan.AppendInt(append(b, `,"audio_tokens":`...), u.AudioInput)
	b = jsonscan.AppendInt(append(b, `},"completion_tokens_details":{"reasoning_tokens":`...), u.Reasoning)
	b = jsonscan.AppendInt(append(b, `,"audio_tokens":`...), u.AudioOutput)
	return append(b, "}}"...)
}

// finish reads a finish_reason; "" where there is none yet. OpenAI says "stop" after a call that tool_choice named, and some
// servers after every call; with calls that means FinishTools.
func finish(v []byte, calls bool) ai.Finish {
	if jsonscan.Kind(v) != jsonscan.String || len(v) == 2 {
		return ""
	}
	switch string(v) {
	case `"stop"`:
		if calls {
			return ai.FinishTools
		}
		return ai.FinishStop
	case `"length"`, `"max_tokens"`:
		return ai.FinishLength
	case `"tool_calls"`, `"function_call"`, `"tool_use"`:
		return ai.FinishTools
	case `"content_filter"`:
		return ai.FinishFilter
	case `"refusal"`:
		return ai.FinishRefusal
	case `"stop_sequence"`:
		return ai.FinishStopSeq
	case `"error"`, `"abort"`, `"insufficient_system_resource"`: // OpenRouter, vLLM, DeepSeek
		return ai.FinishError
	}
	return ai.FinishStop
}

// finishWord is the finish_reason for a client. OpenAI has no word for a failed answer; "error" is that of OpenRouter, and
// better than an end that looks good.
func finishWord(f ai.Finish, functions bool) string {
	switch f {
	case ai.FinishLength:
		return "length"
	case ai.FinishTools:
		if functions {
			return "function_call"
		}
		return "tool_calls"
	case ai.FinishFilter, ai.FinishRefusal:
		return "content_filter"
	case ai.FinishError:
		return "error"
	}
	return "stop"
}
