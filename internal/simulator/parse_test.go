package simulator

import (
	"encoding/json"
	"regexp"
	"testing"
	"unicode/utf8"
)

func FuzzJSON(f *testing.F) {
	for _, s := range []string{hello, `[1,-0.5e+3,"\ud83d\ude00\n",{"a":null,"b":[true,false]}]`, `{"a":01}`, "\"\x01\"", `"\ud800"`, `{"a"}`, `[,]`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, want := valid(b), json.Valid(b); got != want {
			t.Fatalf("valid(%q) = %v, encoding/json says %v", b, got, want)
		}
		if v := value(b[skipSpace(b, 0):]); valid(b) {
			walk(t, v[:skip(v, 0)])
		}
	})
}

// walk visits all that is in v and compares strings with encoding/json.
func walk(t *testing.T, v value) {
	for _, m := range v.fields() {
		walk(t, m)
	}
	for m := range v.items() {
		walk(t, m)
	}
	if v.kind() != '"' || !utf8.Valid(v) {
		return
	}
	var want string
	if err := json.Unmarshal(v, &want); err != nil {
		t.Fatal(err)
	}
	if got := string(v.text(nil)); got != want {
		t.Fatalf("text of %s is %q, want %q", v, got, want)
	}
	var back string
	if err := json.Unmarshal(appendString(nil, want), &back); err != nil || back != want {
		t.Fatalf("appendString(%q) reads back as %q, %v", want, back, err)
	}
}

func FuzzDirectives(f *testing.F) {
	f.Add("status=429 retry-after=3 delay=1s reset")
	f.Add("tokens=99999999999999999999 =")
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseDirectives(s); err != nil && d != (Directives{}) {
			t.Fatalf("%q: directives beside %v", s, err)
		}
	})
}

func FuzzPieces(f *testing.F) {
	f.Add([]byte("Hello, wörld  of 漢字漢字漢字漢字漢字 "))
	f.Fuzz(func(t *testing.T, b []byte) {
		whole := utf8.Valid(b)
		for rest := b; len(rest) > 0; {
			n := piece(rest)
			if n <= 0 || n > len(rest) {
				t.Fatalf("piece(%q) = %d", rest, n)
			}
			if whole && !utf8.Valid(rest[:n]) {
				t.Fatalf("piece(%q) cuts a character", rest)
			}
			rest = rest[n:]
		}
	})
}

// FuzzSchema: whatever the schema, what is generated is JSON of bounded size.
func FuzzSchema(f *testing.F) {
	f.Add([]byte(`{"$ref":"#/$defs/a","$defs":{"a":{"type":"object","properties":{"x":{"$ref":"#/$defs/a"},"y":{"$ref":"#"}}}}}`))
	f.Add([]byte(`{"type":"array","minItems":3,"items":{"type":"array","minItems":16,"items":{"pattern":"(a+){1000}[^b]\\d{3}"}}}`))
	f.Add([]byte(`{"type":"number","minimum":5,"maximum":-3,"multipleOf":0.25}`))
	f.Fuzz(func(t *testing.T, schema []byte) {
		if !valid(schema) || schema[0] != '{' {
			return
		}
		r := random(1)
		out := appendFitting(nil, schema, &r)
		if !json.Valid(out) {
			t.Fatalf("%s gives %s", schema, out)
		}
	})
}

func TestSchemaFits(t *testing.T) {
	f := func(schema, pattern string) {
		t.Helper()
		r := random(1)
		out := appendFitting(nil, value(schema), &r)
		if !json.Valid(out) || !regexp.MustCompile("^(?:"+pattern+")$").Match(out) {
			t.Errorf("%s gives %s, want %s", schema, out, pattern)
		}
	}
	f(`{"type":"string","pattern":"^[A-Z]{2}-\\d+$"}`, `"[A-Z]{2}-\d+"`)
	f(`{"type":"string","maxLength":3}`, `"[a-z]{1,3}"`)
	f(`{"type":"integer","minimum":10,"maximum":12}`, `1[012]`)
	f(`{"type":"integer","exclusiveMinimum":4,"exclusiveMaximum":6}`, `5`)
	f(`{"type":"integer","minimum":7,"maximum":20,"multipleOf":10}`, `10|20`)
	f(`{"type":["null","boolean"]}`, `true|false`)
	f(`{"anyOf":[{"const":3},{"type":"null"}]}`, `3`)
	f(`{"type":"array","minItems":3,"items":{"enum":[1]}}`, `\[1,1,1\]`)
	f(`{"type":"array","maxItems":1,"items":{"enum":[1]}}`, `\[1\]`)
	f(`{"type":"object","properties":{"a":{"$ref":"#/$defs/n"}},"$defs":{"n":{"type":"null"}}}`, `\{"a":null\}`)
	f(`{"type":"STRING","format":"date"}`, `"\d{4}-\d\d-\d\d"`)
	f(`{"type":"object","properties":{"self":{"$ref":"#"}},"required":[]}`, `(\{"self":)+\{\}\}+`)
}

func TestWordsHaveTheTokensAskedFor(t *testing.T) {
	r := random(5)
	if got := CountWords(r.appendWords(nil, 1000)); got != 1000 {
		t.Errorf("%d tokens, want 1000", got)
	}
}

func TestEmbeddingsOfLikeTextsAreNear(t *testing.T) {
	cosine := func(a, b string) (sum float32) {
		x, y := embedding([]byte(a), 256), embedding([]byte(b), 256)
		for i := range x {
			sum += x[i] * y[i]
		}
		return sum
	}
	near, far := cosine("the cat sat on the mat", "the cat sat on a mat"), cosine("the cat sat on the mat", "quarterly revenue report")
	if near < 0.7 || far > 0.4 || far < -0.4 {
		t.Errorf("near %v, far %v", near, far)
	}
}
