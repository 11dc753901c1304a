package anthropic

import (
	"bytes"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// Peek reads what routing needs. Clients of Anthropic always see usage in their streams.
func (Dialect) Peek(op ai.Op, body []byte, r *ai.Request) error {
	r.WantsUsage = true
	limited := op != ai.OpChat
	var wrong error
	err := jsonscan.ValidMembers(body, func(k, v []byte) {
		if wrong != nil {
			return
		}
		limited = limited || string(k) == "max_tokens"
		if err := peekField(r, k, v); err != nil {
			wrong = ai.Under(err, string(k))
		}
	})
	if err != nil {
		return bad("", err.Error())
	}
	if jsonscan.Kind(jsonscan.Trim(body)) != jsonscan.Object {
		return bad("", "the body must be a JSON object")
	}
	switch {
	case wrong != nil:
		return wrong
	case r.Model == "":
		return bad("model", "this field is required")
	case !limited:
		return bad("max_tokens", "this field is required")
	}
	return nil
}

func peekField(r *ai.Request, key, v []byte) (err error) {
	switch string(key) {
	case "model":
		r.Model, err = needText(v)
	case "max_tokens":
		r.MaxOutput, err = count(v)
	case "stream":
		r.Stream, err = flag(v)
	case "metadata":
		r.User, err = peekUser(v)
	}
	return err
}

func peekUser(metadata []byte) (string, error) {
	id := jsonscan.Get(metadata, "user_id")
	if id == nil || jsonscan.IsNull(id) {
		return "", nil
	}
	s, err := text(id)
	return s, ai.Under(err, "user_id")
}

// bad is the error for a parameter that is not what it should be.
func bad(param, msg string) error {
	return &ai.Error{Status: 400, Type: invalidRequest, Param: param, Message: msg}
}

// expected is bad for a value of the wrong type.
func expected(what string, got []byte) error {
	return bad("", "expected "+what+", got "+jsonscan.Kind(got).String())
}

func text(v []byte) (string, error) {
	if jsonscan.Kind(v) != jsonscan.String {
		return "", expected("a string", v)
	}
	return jsonscan.Text(v), nil
}

// needText is text that must not be empty.
func needText(v []byte) (string, error) {
	s, err := text(v)
	if err == nil && s == "" {
		err = bad("", "must not be empty")
	}
	return s, err
}

// count reads a whole number that is not negative.
func count(v []byte) (int, error) {
	n, ok := jsonscan.Int(v)
	if !ok || n < 0 || n > maxCount {
		return 0, bad("", "expected a whole number that is not negative, got "+string(clip(v)))
	}
	return int(n), nil
}

// maxCount bounds counts of tokens, so that sums of them cannot overflow.
const maxCount = 1 << 40

func flag(v []byte) (bool, error) {
	b, ok := jsonscan.ParseBool(v)
	if !ok && !jsonscan.IsNull(v) {
		return false, expected("true or false", v)
	}
	return b, nil
}

// clip keeps numbers in error messages short and leaves out everything else.
func clip(v []byte) []byte {
	if jsonscan.Kind(v) != jsonscan.Number {
		return []byte(jsonscan.Kind(v).String())
	}
	return bytes.Clone(v[:min(len(v), 20)])
}
