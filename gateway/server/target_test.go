package server

import "testing"

func TestSplitTarget(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		host, path, query, has, err := splitTarget([]byte(in))
		got := string(host) + " " + string(path)
		if has {
			got += " ?" + string(query)
		}
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	f("/a?b=c?d", " /a ?b=c?d")
	f("/a?", " /a ?")
	f("http://h:1/a?b", "h:1 /a ?b")
	f("HTTPS://h", "h /")
	f("http://h?x", "h / ?x")
	f("http://u@h/", "error")
	f("*", "error")
	f("h:443", "error")
	f("/a#b", "error")
}
