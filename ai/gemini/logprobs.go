package gemini

import (
	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// logprobs translates a logprobsResult (https://ai.google.dev/api/generate-content#LogprobsResult) to OpenAI's form:
// {"content":[{"token","logprob","bytes","top_logprobs":[...]}],"refusal":null}.
func (d *decoder) logprobs(index int, raw []byte, dst []ai.Event) []ai.Event {
	var tops [][]byte
	for top := range jsonscan.Elems(jsonscan.Get(raw, "topCandidates")) {
		tops = append(tops, jsonscan.Get(top, "candidates"))
	}
	b := append([]byte(nil), `{"content":[`...)
	for chosen := range jsonscan.Elems(jsonscan.Get(raw, "chosenCandidates")) {
		b = appendToken(b, chosen)
		b = append(jsonscan.AppendKey(b, "top_logprobs"), '[')
		if len(tops) > 0 {
			for top := range jsonscan.Elems(tops[0]) {
				b = append(appendToken(b, top), '}')
			}
			tops = tops[1:]
		}
		b = append(b, "]}"...)
	}
	b = append(b, `],"refusal":null}`...)
	return append(dst, ai.Event{Kind: ai.EventLogprobs, Choice: index, Raw: b})
}

// appendToken appends the object of one token and leaves it open.
func appendToken(b, candidate []byte) []byte {
	token := jsonscan.AppendText(nil, jsonscan.Get(candidate, "token"))
	p, _ := jsonscan.Float(jsonscan.Get(candidate, "logProbability"))
	b = append(jsonscan.AppendComma(b), '{')
	b = jsonscan.AppendQuoted(jsonscan.AppendKey(b, "token"), token)
	b = jsonscan.AppendFloat(jsonscan.AppendKey(b, "logprob"), p)
	b = append(jsonscan.AppendKey(b, "bytes"), '[')
	for _, c := range token {
		b = jsonscan.AppendInt(jsonscan.AppendComma(b), int(c))
	}
	return append(b, ']')
}
