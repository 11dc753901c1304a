package jsonscan

import "testing"

func TestAppendReplaced(t *testing.T) {
	f := func(obj, want string) {
		t.Helper()
		if got := string(AppendReplaced(nil, []byte(obj), "model", []byte(`"new"`))); got != want {
			t.Errorf("%s: got %s, want %s", obj, got, want)
		}
	}
	f(`{ "a" : {"model":1}, "model" :  "old" , "b":2 }`, `{ "a" : {"model":1}, "model" :  "new" , "b":2 }`)
	f(`{"mod\u0065l":"old"}`, `{"mod\u0065l":"new"}`)
	f(`{"a":1 } `, `{"a":1 ,"model":"new"} `)
	f(`{ }`, `{ "model":"new"}`)
	f(`[1]`, `[1]`)
	f(``, ``)
}

func TestAppendEdited(t *testing.T) {
	f := func(obj, want string) {
		t.Helper()
		if got := string(AppendEdited(nil, []byte(obj), []Edit{{"a", []byte("1")}, {"b", []byte("2")}})); got != want {
			t.Errorf("%s: got %s, want %s", obj, got, want)
		}
	}
	f(`{"b":0, "x":"y" ,"a" : {}, "z":[] }`, `{"b":2, "x":"y" ,"a" : 1, "z":[] }`)
	f(`{"b":0}`, `{"b":2,"a":1}`)
	f(`{}`, `{"a":1,"b":2}`)
	f(`{"a":`, `{"a":`)
	f(`7`, `7`)
}

func TestAppendRemoved(t *testing.T) {
	f := func(obj, want, wantValue string) {
		t.Helper()
		if got, value := AppendRemoved(nil, []byte(obj), "usage"); string(got) != want || string(value) != wantValue {
			t.Errorf("%s: got %s and %s, want %s and %s", obj, got, value, want, wantValue)
		}
	}
	f(`{"a":1, "usage":null, "b":2}`, `{"a":1, "b":2}`, `null`)
	f(`{"a":1 , "usage":null }`, `{"a":1  }`, `null`)
	f(`{"usage":{"a":[1]},"b":2}`, `{"b":2}`, `{"a":[1]}`)
	f(`{"usage":1}`, `{}`, `1`)
	f(`{"a":{"usage":1}}`, `{"a":{"usage":1}}`, ``)
	f(`x`, `x`, ``)
}

func TestWrite(t *testing.T) {
	b := append([]byte(nil), '{')
	b = AppendInt(AppendKey(b, "a"), 1)
	b = append(AppendKey(b, "b"), '[')
	b = AppendFloat(AppendComma(b), 0.1)
	b = AppendFloat32(AppendComma(b), 0.1)
	b = AppendFloat(AppendComma(b), 1e-9)
	b = append(b, ']')
	b = AppendBool(AppendKey(b, "c"), true)
	b = append(b, '}')
	if got, want := string(b), `{"a":1,"b":[0.1,0.1,1e-09],"c":true}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
