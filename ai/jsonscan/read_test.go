package jsonscan

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFields(t *testing.T) {
	var got strings.Builder
	for k, v := range Fields([]byte(` { "a" : 1 , "b\n":[1,"]"] ,"c":{"d":"}\\\""}, "e":null}`)) {
		got.WriteString(string(k) + "=" + string(v) + ";")
	}
	if want := "a=1;b\n=[1,\"]\"];c={\"d\":\"}\\\\\\\"\"};e=null;"; got.String() != want {
		t.Errorf("got %q, want %q", got.String(), want)
	}
	for k := range Fields([]byte(`[1]`)) {
		t.Errorf("an array has field %s", k)
	}
	for v := range Elems([]byte(`{"a":1}`)) {
		t.Errorf("an object has element %s", v)
	}
}

func TestGet(t *testing.T) {
	f := func(obj, key, want string) {
		t.Helper()
		if got := Get([]byte(obj), key); string(got) != want {
			t.Errorf("%s of %s: got %q, want %q", key, obj, got, want)
		}
	}
	f(`{"x":{"model":1},"mod\u0065l":"a"}`, "model", `"a"`)
	f(`{"a":1.5e3 }`, "a", `1.5e3`)
	f(`{"n":[0.123456789,-1.5,2.25e-1,"]"],"a":[.5],"b":[1.]}`, "a", `[.5]`)
	f(`{"n":[0.1234567890123456789]`, "n", `[0.1234567890123456789]`)
	f(`{"a":1}`, "b", "")
	f(`{"a`, "a", "")
	f(`{"a":`, "a", "")
}

func TestNumbers(t *testing.T) {
	f := func(raw string, want int64, ok bool) {
		t.Helper()
		if n, got := Int([]byte(raw)); n != want || got != ok {
			t.Errorf("%s: got %d %v, want %d %v", raw, n, got, want, ok)
		}
	}
	f("0", 0, true)
	f("-12", -12, true)
	f("1e3", 1000, true)
	f("7.0", 7, true)
	f("7.5", 0, false)
	f("9223372036854775807", 1<<63-1, true)
	f("99999999999999999999", 0, false)
	f(`"1"`, 0, false)
	f("+1", 0, false)
	f("-", 0, false)
	f("", 0, false)
	f("null", 0, false)
	if v, ok := Float([]byte("0.25")); v != 0.25 || !ok {
		t.Errorf("0.25 reads as %v, %v", v, ok)
	}
	if _, ok := Float([]byte("1e999")); ok {
		t.Error("1e999 was read")
	}
	if _, ok := Float([]byte("0x1p4")); ok {
		t.Error("a number that is not JSON was read")
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":"\\\""}],"c":"\ud83d\ude00","mod\u0065l":"漢"}`, `{"a`, `[`, `{"a":"\`, `{"a":1,}`, `"x\u00"`, `{"a"  :tru e}`, `{"a":[1.5,-0.123456789012,"x",3.25],"b":[[.]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		walk(b, 0)
		var want map[string]json.RawMessage
		if Valid(b) != nil || json.Unmarshal(b, &want) != nil {
			return
		}
		n := 0
		for k, v := range Fields(b) {
			n++
			// encoding/json turns invalid escapes in keys into U+FFFD as we do.
			if !bytes.Equal(want[string(k)], v) {
				t.Fatalf("%q: field %q is %q, want %q", b, k, v, want[string(k)])
			}
			if got := Get(b, string(k)); !bytes.Equal(got, v) {
				t.Fatalf("%q: Get(%q) = %q, want %q", b, k, got, v)
			}
		}
		if n != len(want) {
			t.Fatalf("%q: %d fields, want %d", b, n, len(want))
		}
		for k := range want {
			edited(t, b, k, want)
		}
		edited(t, b, "new", want)
	})
}

// edited replaces and removes a member of b and compares with the others of want.
func edited(t *testing.T, b []byte, key string, want map[string]json.RawMessage) {
	if Kind(Trim(b)) != Object {
		return
	}
	replaced := AppendReplaced(nil, b, key, []byte(`"\u0061"`))
	removed, _ := AppendRemoved(nil, b, key)
	for _, out := range [][]byte{replaced, removed} {
		if err := Valid(out); err != nil {
			t.Fatalf("%q without or with another %q became %q: %v", b, key, out, err)
		}
		for k, v := range want {
			if k != key && !bytes.Equal(Get(out, k), v) {
				t.Fatalf("%q without or with another %q became %q", b, key, out)
			}
		}
	}
	if !Equal(Get(replaced, key), "a") || Get(removed, key) != nil {
		t.Fatalf("%q with another %q became %q, without %q", b, key, replaced, removed)
	}
}

// walk reads everything there is.
func walk(raw []byte, depth int) {
	if depth > 3 {
		return
	}
	var room []byte
	Text(raw)
	AppendText(nil, raw)
	View(raw, &room)
	Int(raw)
	Float(raw)
	Equal(raw, "a")
	AppendReplaced(nil, raw, "a", []byte("1"))
	AppendRemoved(nil, raw, "a")
	for _, v := range Fields(raw) {
		walk(v, depth+1)
	}
	for v := range Elems(raw) {
		walk(v, depth+1)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{`"\ud83d\ude00\ud83d\u0041\n\/é"`, `"plain"`, `"\u0000"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var want string
		if Valid(b) != nil || json.Unmarshal(b, &want) != nil || Kind(Trim(b)) != String {
			return
		}
		raw := Trim(b)
		var room []byte
		for _, got := range []string{Text(raw), string(AppendText(nil, raw)), string(View(raw, &room))} {
			if got != want {
				t.Fatalf("%q reads as %q, want %q", raw, got, want)
			}
		}
		if !Equal(raw, want) {
			t.Fatalf("%q is not equal to %q", raw, want)
		}
	})
}

func FuzzQuoted(f *testing.F) {
	f.Add("a\n\"\\\x00\u2028漢\xff\xed\xa0\x80 and then some more")
	f.Fuzz(func(t *testing.T, s string) {
		q := AppendQuoted(nil, s)
		if q2 := AppendQuoted(nil, []byte(s)); !bytes.Equal(q, q2) {
			t.Fatalf("string gives %q, bytes give %q", q, q2)
		}
		if err := Valid(q); err != nil {
			t.Fatalf("%q: %v", q, err)
		}
		var got, want string
		std, _ := json.Marshal(s)
		if json.Unmarshal(q, &got) != nil || json.Unmarshal(std, &want) != nil || got != want {
			t.Fatalf("%q is written as %s", s, q)
		}
		if utf8.ValidString(s) && Text(q) != s {
			t.Fatalf("%q comes back as %q", s, Text(q))
		}
	})
}
