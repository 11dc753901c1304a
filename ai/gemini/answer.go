package gemini

import (
	"errors"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// DecodeCompletion implements ai.Provider. A whole answer has the form of a stream's chunk.
func (Provider) DecodeCompletion(x *ai.Exchange, body []byte) (*ai.Completion, error) {
	d := newDecoder(x)
	evs, err := d.Decode(ai.Frame{Data: body}, nil)
	if err != nil {
		return nil, err
	}
	c, err := ai.Collect(evs)
	if err == nil && !d.CompleteAtEOF() {
		err = errors.New("gemini: the answer holds no finished candidate")
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// finish makes the event of a finishReason (https://ai.google.dev/api/generate-content#FinishReason). A call that the
// model could not form, and reasons that nobody explains, are failures of the provider and not ends of an answer.
func (d *decoder) finish(c *choice, index int, reason, message string) ai.Event {
	f := ai.FinishFilter
	switch reason {
	case "STOP":
		f = ai.FinishStop
		if c.calls > 0 {
			f = ai.FinishTools
		}
	case "MAX_TOKENS":
		f = ai.FinishLength
	case "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "MODEL_ARMOR",
		"IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION":
	default:
		f = ai.FinishError
	}
	if index == 0 {
		d.x.Finish = f
	}
	if f != ai.FinishError {
		return ai.Event{Kind: ai.EventFinish, Choice: index, Finish: f}
	}
	text := "the model ended its answer with " + reason
	if message != "" {
		text += ": " + message
	}
	return ai.Event{Kind: ai.EventError, Choice: index, Err: &ai.Error{Status: 502, Code: reason, Message: text, Upstream: true}}
}

// readUsage sets what a usageMetadata says. It is cumulative: each replaces the one before. A prompt's count includes
// its cached part; thoughts and candidates are counted apart.
func readUsage(raw []byte, u *ai.Usage) {
	var prompt, tools, candidates, thoughts int
	u.CachedInput, u.AudioInput, u.AudioOutput = 0, 0, 0
	for k, v := range jsonscan.Fields(raw) {
		switch string(k) {
		case "promptTokenCount":
			prompt = count(v)
		case "toolUsePromptTokenCount":
			tools = count(v)
		case "cachedContentTokenCount":
			u.CachedInput = count(v)
		case "candidatesTokenCount":
			candidates = count(v)
		case "thoughtsTokenCount":
			thoughts = count(v)
		case "promptTokensDetails":
			u.AudioInput = audio(v)
		case "candidatesTokensDetails":
			u.AudioOutput = audio(v)
		}
	}
	u.Input, u.Output, u.Reasoning = prompt+tools, candidates+thoughts, thoughts
	u.Known, u.Estimated = true, false
}

func count(raw []byte) int {
	n, _ := jsonscan.Int(raw)
	return int(min(max(n, 0), 1<<40))
}

func audio(details []byte) int {
	n := 0
	for d := range jsonscan.Elems(details) {
		if jsonscan.Equal(jsonscan.Get(d, "modality"), "AUDIO") {
			n += count(jsonscan.Get(d, "tokenCount"))
		}
	}
	return n
}
