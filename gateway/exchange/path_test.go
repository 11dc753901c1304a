package exchange

import (
	"bytes"
	"testing"
)

func TestAppendPath(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		got, err := AppendPath(nil, []byte(in))
		if err != nil {
			got = []byte("error: " + err.Error())
		}
		if string(got) != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	f("/", "/")
	f("/a/b", "/a/b")
	f("/a//b/", "/a//b/")
	f("/a/./b/../c", "/a/c")
	f("/a/b/..", "/a/")
	f("/a/b/.", "/a/b/")
	f("/..", "/")
	f("/../../a", "/a")
	f("/a%2Fb/../c//d", "/c//d")
	f("/a%2fb", "/a%2Fb")
	f("/%61dmin", "/admin")
	f("/%2e%2e/x", "/x")
	f("/a/%2E%2e/b", "/b")
	f("/a/..b/.c", "/a/..b/.c")
	f("/caf\xc3\xa9", "/caf%C3%A9")
	f("/a b", "/a%20b")
	f("/a%00", "error: the path holds an encoded NUL")
	f("/a%2", "error: malformed percent-encoding in the path")
	f("/a%zz", "error: malformed percent-encoding in the path")
	f("a", "error: the request target must be a path or an absolute URL")
	f("/a//../b", "/a/b")
}

// A path that was normalised is normal, and never climbs.
func FuzzAppendPath(f *testing.F) {
	for _, s := range []string{"/a/../b", "/%2e%2E/", "/a//..//./b", "/%41%zz", "/\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		once, err := AppendPath(nil, in)
		if err != nil {
			return
		}
		twice, err := AppendPath(nil, once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%q: %q, again %q, %v", in, once, twice, err)
		}
		if bytes.Contains(once, []byte("/../")) || bytes.HasSuffix(once, []byte("/..")) || bytes.Contains(once, []byte("/./")) {
			t.Fatalf("%q: dots left in %q", in, once)
		}
	})
}

func BenchmarkAppendPath(b *testing.B) {
	in := []byte("/v1/projects/12345/chat/completions")
	dst := make([]byte, 0, 128)
	for b.Loop() {
		dst, _ = AppendPath(dst[:0], in)
	}
}
