package filter

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// build compiles filters in protobuf's text form, each of one rule.
func build(t testing.TB, texts ...string) Chain {
	t.Helper()
	c, err := Build(filters(t, texts...), Env{Port: 80, Mirrors: NewMirrors(nil)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func filters(t testing.TB, texts ...string) []*xdsv1.Filter {
	t.Helper()
	var list []*xdsv1.Filter
	for _, text := range texts {
		f := &xdsv1.Filter{}
		if err := prototext.Unmarshal([]byte(text), f); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		list = append(list, f)
	}
	return list
}

// request makes an exchange for example.com of a path and header lines.
func request(t testing.TB, path string, header ...string) *exchange.Exchange {
	x := exchange.Acquire(t.Context(), nil)
	x.Scheme = "http"
	x.Req.SetHost("example.com")
	var query string
	path, query, x.HasQuery = strings.Cut(path, "?")
	x.Path, x.Query = append(x.Path[:0], path...), append(x.Query[:0], query...)
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		x.Req.Add(name, value)
	}
	return x
}

// run is what the server does with a chain; answer stands for the backend.
func run(c Chain, x *exchange.Exchange, answer func()) {
	done := false
	for _, list := range [2][]Request{c.Preflight, c.Request} {
		for _, f := range list {
			if done = done || f.OnRequest(x) == Reply; done {
				break
			}
		}
	}
	switch {
	case done:
	case c.Handler != nil:
		c.Handler.Serve(x)
	default:
		answer()
	}
	for i := len(c.Response) - 1; i >= 0; i-- {
		c.Response[i].OnResponse(x)
	}
}

// all is the values of a field, joined as a backend of the conformance tests prints them.
func all(values [][]byte) string {
	var s []string
	for _, v := range values {
		s = append(s, string(v))
	}
	return strings.Join(s, "|")
}

func TestBuildNamesTheFilter(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := Build(filters(t, `request_headers{}`, text), Env{Authorize: func(*xdsv1.ExternalAuth) (Authorizer, error) { return nil, errors.New("there is none") }})
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	f(`external_auth{}`, `filters[1].external_auth.backend: there is none`)
	f(``, `filters[1].kind: is missing, or not known to this version`)
	f(`cors{allow_origins:"https://ok.example" allow_origins:"example.com"}`,
		`filters[1].cors.allow_origins[1]: "example.com" is not an origin such as https://example.com`)
}

func TestInvalidFilterAnswers500(t *testing.T) {
	for _, texts := range [][]string{{`invalid:"no such filter"`, `redirect{}`}, {`redirect{}`, `invalid:"no such filter"`}} {
		x := request(t, "/")
		run(build(t, texts...), x, func() { t.Error("forwarded") })
		if x.Resp.StatusCode() != 500 || x.Note != "invalid filter: no such filter" {
			t.Errorf("%d %q", x.Resp.StatusCode(), x.Note)
		}
		if strings.Contains(string(x.RespBody.Bytes), "no such filter") {
			t.Error("the reason is told to the client")
		}
	}
}
