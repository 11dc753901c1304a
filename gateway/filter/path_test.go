package filter

import (
	"fmt"
	"testing"
)

// The table of the Gateway API at HTTPPathModifier.replacePrefixMatch.
func TestReplacePrefixMatch(t *testing.T) {
	f := func(path, prefix, with, want string) {
		t.Helper()
		filter := fmt.Sprintf(`rewrite{path{prefix:%q}}`, with)
		x := request(t, path)
		x.MatchedPrefix = len(prefix)
		if prefix[len(prefix)-1] == '/' {
			x.MatchedPrefix-- // as table.Port.Match counts
		}
		run(build(t, filter), x, func() {})
		if string(x.Path) != want {
			t.Errorf("rewrite %s, %s by %s: %s, want %s", path, prefix, with, x.Path, want)
		}
		y := request(t, path)
		y.MatchedPrefix = len(prefix)
		if prefix[len(prefix)-1] == '/' {
			y.MatchedPrefix--
		}
		run(build(t, fmt.Sprintf(`redirect{path{prefix:%q}}`, with)), y, func() {})
		if got := string(y.Resp.Peek("Location")); got != "http://example.com"+want {
			t.Errorf("redirect %s, %s by %s: %s, want %s", path, prefix, with, got, want)
		}
	}
	f("/foo/bar", "/foo", "/xyz", "/xyz/bar")
	f("/foo/bar", "/foo", "/xyz/", "/xyz/bar")
	f("/foo/bar", "/foo/", "/xyz", "/xyz/bar")
	f("/foo/bar", "/foo/", "/xyz/", "/xyz/bar")
	f("/foo", "/foo", "/xyz", "/xyz")
	f("/foo/", "/foo", "/xyz", "/xyz/")
	f("/foo/bar", "/foo", "", "/bar")
	f("/foo/", "/foo", "", "/")
	f("/foo", "/foo", "", "/")
	f("/foo/", "/foo", "/", "/")
	f("/foo", "/foo", "/", "/")

	f("/foo", "/", "/xyz", "/xyz/foo")
	f("/", "/", "/xyz", "/xyz/")
	f("/foo/bar", "/foo/bar", "/much/longer/than/it/was", "/much/longer/than/it/was")
	f("/foo//bar", "/foo", "/x", "/x//bar")
}

func TestRewrite(t *testing.T) {
	f := func(filter, path, want string) {
		t.Helper()
		x := request(t, path)
		x.MatchedPrefix = 1
		run(build(t, filter), x, func() {})
		got := string(x.Req.Host()) + string(x.Path)
		if x.HasQuery {
			got += "?" + string(x.Query)
		}
		if got != want {
			t.Errorf("%s on %s: %s, want %s", filter, path, got, want)
		}
	}
	f(`rewrite{hostname:"one.example"}`, "/a?b=c", "one.example/a?b=c")
	f(`rewrite{path{full:"/one"}}`, "/full/one/two?q", "example.com/one?q")
	f(`rewrite{hostname:"one.example" path{full:"/one"}}`, "/x", "one.example/one")
}
