package openai

import (
	"strconv"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

const invalidRequest = "invalid_request_error"

// bad is the error for a parameter that is not what it should be.
func bad(param, msg string) error {
	return &ai.Error{Status: 400, Type: invalidRequest, Param: param, Message: msg}
}

func expected(what string, got []byte) error {
	return bad("", "expected "+what+", got "+jsonscan.Kind(got).String())
}

const required = "this field is required"

func element(i int) string { return "[" + strconv.Itoa(i) + "]" }

func object(v []byte) error {
	if jsonscan.Kind(v) != jsonscan.Object {
		return expected("an object", v)
	}
	return nil
}

func text(v []byte) (string, error) {
	if jsonscan.Kind(v) != jsonscan.String {
		return "", expected("a string", v)
	}
	return jsonscan.Text(v), nil
}

// needText is text that must not be empty.
func needText(v []byte) (string, error) {
	if len(v) == 0 {
		return "", bad("", required)
	}
	s, err := text(v)
	if err == nil && s == "" {
		err = bad("", "must not be empty")
	}
	return s, err
}

func flag(v []byte) (bool, error) {
	b, ok := jsonscan.ParseBool(v)
	if !ok {
		return false, expected("true or false", v)
	}
	return b, nil
}

// maxCount bounds counts of tokens, so that sums of them cannot overflow.
const maxCount = 1 << 40

// count reads a whole number that is not negative.
func count(v []byte) (int, error) {
	n, ok := jsonscan.Int(v)
	if jsonscan.Kind(v) != jsonscan.Number {
		return 0, expected("a whole number", v)
	}
	if !ok || n < 0 || n > maxCount {
		return 0, bad("", "expected a whole number that is not negative")
	}
	return int(n), nil
}

// opt makes a reader of a value into one of an optional value.
func opt[T any](read func([]byte) (T, error)) func([]byte) (*T, error) {
	return func(v []byte) (*T, error) {
		t, err := read(v)
		if err != nil {
			return nil, err
		}
		return &t, nil
	}
}

var (
	optFlag  = opt(flag)
	optCount = opt(count)
	optFloat = opt(func(v []byte) (float64, error) {
		f, ok := jsonscan.Float(v)
		if !ok {
			return 0, expected("a number", v)
		}
		return f, nil
	})
	optInt = opt(func(v []byte) (int64, error) {
		n, ok := jsonscan.Int(v)
		if !ok {
			return 0, expected("a whole number", v)
		}
		return n, nil
	})
)

// each reads the elements of an array and names the one that fails.
func each(v []byte, read func(i int, v []byte) error) error {
	if jsonscan.Kind(v) != jsonscan.Array {
		return expected("an array", v)
	}
	i := 0
	for e := range jsonscan.Elems(v) {
		if err := read(i, e); err != nil {
			return ai.Under(err, element(i))
		}
		i++
	}
	return nil
}

// length is how many elements an array has.
func length(v []byte) int {
	n := 0
	for range jsonscan.Elems(v) {
		n++
	}
	return n
}

// member is a member of an object; nil where it is null.
func member(v []byte, name string) []byte {
	if m := jsonscan.Get(v, name); !jsonscan.IsNull(m) {
		return m
	}
	return nil
}

// isEmpty says whether a value says nothing: null, "", [] or {}.
func isEmpty(v []byte) bool {
	switch jsonscan.Kind(v) {
	case jsonscan.Array:
		return length(v) == 0
	case jsonscan.Object:
		for range jsonscan.Fields(v) {
			return false
		}
		return true
	case jsonscan.String:
		return len(v) == 2
	}
	return len(v) == 0 || jsonscan.IsNull(v)
}
