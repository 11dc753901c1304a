package openai

import (
	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// Peek reads what routing and limits need.
func (Dialect) Peek(_ ai.Op, body []byte, r *ai.Request) error {
	r.Model, r.User = "", ""
	r.Stream, r.WantsUsage = false, false
	r.MaxOutput, r.N = 0, 0
	var wrong error
	err := jsonscan.ValidMembers(body, func(k, v []byte) {
		if wrong != nil || jsonscan.IsNull(v) {
			return
		}
		if err := peekField(r, k, v); err != nil {
			wrong = ai.Under(err, string(k))
		}
	})
	if err != nil {
		return bad("", err.Error())
	}
	if err := object(jsonscan.Trim(body)); err != nil {
		return bad("", "the body must be a JSON object")
	}
	if wrong != nil {
		return wrong
	}
	if r.Model == "" {
		return bad("model", required)
	}
	return nil
}

func peekField(r *ai.Request, key, v []byte) (err error) {
	switch string(key) {
	case "model":
		r.Model, err = needText(v)
	case "stream":
		r.Stream, err = flag(v)
	case "stream_options":
		r.WantsUsage, err = wantsUsage(v)
	case "max_tokens", "max_completion_tokens":
		var n int
		n, err = count(v)
		r.MaxOutput = max(r.MaxOutput, n)
	case "n":
		r.N, err = choices(v)
	case "user":
		r.User, err = text(v)
	case "safety_identifier":
		var s string
		if s, err = text(v); r.User == "" {
			r.User = s
		}
	}
	return err
}

func choices(v []byte) (int, error) {
	n, err := count(v)
	if err == nil && n == 0 {
		err = bad("", "must be at least 1")
	}
	return n, err
}

func wantsUsage(v []byte) (bool, error) {
	if err := object(v); err != nil {
		return false, err
	}
	if v = member(v, "include_usage"); v == nil {
		return false, nil
	}
	wants, err := flag(v)
	return wants, ai.Under(err, "include_usage")
}
