package body

import "testing"

func TestAppendArguments(t *testing.T) {
	f := func(in string, custom bool, want string) {
		t.Helper()
		if got := string(AppendArguments(nil, in, custom)); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	f("", false, `{}`)
	f(` {"a":1} `, false, `{"a":1}`)
	f(`{"a":`, false, `{"input":"{\"a\":"}`)
	f(`[1]`, false, `{"input":"[1]"}`)
	f(`{"a":1}`, true, `{"input":"{\"a\":1}"}`)
}

func TestAppendCompact(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := string(AppendCompact(nil, []byte(in))); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	f("{\n  \"a b\": \"x \\\" y\\\\\",\n  \"c\": [1, 2]\n}", `{"a b":"x \" y\\","c":[1,2]}`)
	f("null", "{}")
	f("", "{}")
}
