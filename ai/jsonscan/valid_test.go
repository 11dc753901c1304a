package jsonscan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestValid(t *testing.T) {
	f := func(in string, wantOffset int) {
		t.Helper()
		err := Valid([]byte(in))
		if wantOffset < 0 {
			if err != nil {
				t.Errorf("%s: %v", in, err)
			}
			return
		}
		var s *SyntaxError
		if !errors.As(err, &s) || s.Offset != wantOffset {
			t.Errorf("%s: got %v, want an error at %d", in, err, wantOffset)
		}
	}
	f(` {"a": [1, -0.5e+3, "x\né\ud83d\ude00 ü漢"], "b": {"a": null}, "c": true} `, -1)
	f(`{}`, -1)
	f(`[]`, -1)
	f(`"\ud83d"`, -1)
	f(``, 0)
	f(`{"a":1,"a":2}`, 7)
	f(`{"model":1,"b":{"model":2},"mod\u0065l":2}`, 27)
	f(`{"\ud83d":1,"\ud83e":2}`, 12)
	f("\"a\nb\"", 2)
	f("\"aaaaaaaaa\x01\"", 10)
	f("\"\xff\"", 1)
	f("\"abcdefgh\xed\xa0\x80\"", 9)
	f("\"\xe0\x80\x80\"", 1)
	f(`01`, 0)
	f(`-`, 0)
	f(`1.`, 2)
	f(`1e+`, 3)
	f(`tru`, 0)
	f(`{"a":1,}`, 7)
	f(`[1,]`, 3)
	f(`{"a" 1}`, 5)
	f(`{"a":1} x`, 8)
	f(`"\x"`, 1)
	f(`"\u12g4"`, 1)
	f(`"abc`, 4)
	f(`"\`, 1)
	f(strings.Repeat("[", MaxDepth)+strings.Repeat("]", MaxDepth), -1)
	f(strings.Repeat("[", MaxDepth+1)+strings.Repeat("]", MaxDepth+1), MaxDepth)
}

func TestValidManyKeys(t *testing.T) {
	var b bytes.Buffer
	for n := range 5000 {
		fmt.Fprintf(&b, `,"key%d":%d`, n, n)
	}
	body := "{" + b.String()[1:]
	if err := Valid([]byte(body + "}")); err != nil {
		t.Fatal(err)
	}
	if err := Valid([]byte(body + `,"key\u0037":1}`)); err == nil {
		t.Fatal("a key that stands twice among 5001 was accepted")
	}
}

// body is a chat request of about size bytes.
func body(size int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"model":"gpt-5","stream":true,"messages":[{"role":"system","content":"You are terse."}`)
	for b.Len() < size {
		text := strings.Repeat("The quick brown fox jumps over the lazy dog, and then it does it again.\n", 9)
		q, _ := json.Marshal(map[string]string{"role": "user", "content": text + `He said "no" – ünder protest.`})
		b.WriteByte(',')
		b.Write(q)
	}
	b.WriteString(`],"temperature":0.7,"max_tokens":1024}`)
	return b.Bytes()
}

func TestNoAllocations(t *testing.T) {
	b := body(32 << 10)
	dst := make([]byte, 0, 2*len(b))
	model := []byte(`"other"`)
	f := func(name string, run func()) {
		t.Helper()
		if n := testing.AllocsPerRun(20, run); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	f("Valid", func() {
		if Valid(b) != nil {
			t.Fatal("refused")
		}
	})
	f("Get", func() { Get(b, "max_tokens") })
	f("Fields", func() {
		sum := 0
		for k, v := range Fields(b) {
			sum += len(k) + len(v)
		}
		if sum == 0 {
			t.Fatal("no fields")
		}
	})
	f("AppendReplaced", func() { dst = AppendReplaced(dst[:0], b, "model", model) })
	f("text", func() {
		dst = dst[:0]
		for m := range Elems(Get(b, "messages")) {
			dst = AppendText(dst, Get(m, "content"))
		}
	})
	text := AppendText(nil, Get(body(100), "model"))
	f("AppendQuoted", func() { dst = AppendQuoted(AppendQuoted(dst[:0], text), "ü\n") })
}

// strict says whether encoding/json and our own rules accept b.
func strict(b []byte) bool {
	if !utf8.Valid(b) || !json.Valid(b) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return unique(d, 0)
}

// unique reads one value and says whether its keys differ and its depth is allowed.
func unique(d *json.Decoder, depth int) bool {
	tok, err := d.Token()
	if err != nil {
		return false
	}
	bracket, ok := tok.(json.Delim)
	if !ok {
		return true
	}
	if depth == MaxDepth {
		return false
	}
	keys := map[string]bool{}
	for d.More() {
		if bracket == '{' {
			key, err := d.Token()
			if err != nil || keys[key.(string)] {
				return false
			}
			keys[key.(string)] = true
		}
		if !unique(d, depth+1) {
			return false
		}
	}
	_, err = d.Token()
	return err == nil
}

func FuzzValid(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e-3,"x\u00e9\ud83d"],"b":{"a":null,"mod\u0065l":true}}`, `{"a":1,"\u0061":2}`, "\"\xed\xa0\x80\"", `-0`, `[[[]]]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		err := Valid(b)
		if (err == nil) != strict(b) {
			t.Fatalf("%q: %v, want valid: %v", b, err, strict(b))
		}
	})
}

// FuzzValidMembers: what is yielded of a valid text is what Fields yields.
func FuzzValidMembers(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1,"b\u0061":{"c":[{"d":"e"}]} , "f" : "g"}`, `[{"a":1}]`, ` {"a" :null}`, `{"a":1}x`, `{"a":1,"a":2}`, `"x"`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var got, want []string
		err := ValidMembers(b, func(k, v []byte) { got = append(got, string(k), string(v)) })
		if valid := Valid(b); (valid == nil) != (err == nil) {
			t.Fatalf("%q: %v, Valid says %v", b, err, valid)
		}
		if err != nil {
			return
		}
		for k, v := range Fields(Trim(b)) {
			want = append(want, string(k), string(v))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", b, got, want)
		}
	})
}
