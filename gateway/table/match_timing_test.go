package table

import (
	"fmt"
	"strings"
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// manyHosts are n routes, each with a hostname, two paths and a backend of its own.
func manyHosts(t testing.TB, n int) map[string]*xdsv1.Resource {
	texts := []string{httpListener("http", "")}
	for i := range n {
		service := fmt.Sprintf("s%d", i)
		texts = append(texts, backend(service), httpRoute(fmt.Sprintf("r%d", i), "http", fmt.Sprintf("app-%d.example.com", i),
			rule(`matches{path{kind:PREFIX value:"/api/v1"}}`, service)+
				rule(`matches{path{kind:PREFIX value:"/api/v1/users"} headers{name:"x-tenant" value:"one"}}`, service)))
	}
	return resources(t, texts...)
}

// manyPaths are n routes below one hostname.
func manyPaths(t testing.TB, n int) map[string]*xdsv1.Resource {
	texts := []string{httpListener("http", ""), backend("s")}
	for i := range n {
		texts = append(texts, httpRoute(fmt.Sprintf("r%d", i), "http", "example.com",
			rule(fmt.Sprintf(`matches{path{kind:PREFIX value:"/team-%d/app"}}`, i), "s")))
	}
	return resources(t, texts...)
}

func table(t testing.TB, rs map[string]*xdsv1.Resource) *Table {
	t.Helper()
	tb, err := Compile(rs, nil, &builder{})
	if err != nil {
		t.Fatal(err)
	}
	return tb
}

var sizes = []int{10, 1000, 10000}

func BenchmarkMatchHosts(b *testing.B) {
	for _, n := range sizes {
		p := table(b, manyHosts(b, n)).Ports()[0]
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			benchmarkMatch(b, p, n, "app-%d.example.com", "/api/v1/users/1", "X-Tenant: two")
		})
	}
}

func BenchmarkMatchPaths(b *testing.B) {
	for _, n := range sizes {
		p := table(b, manyPaths(b, n)).Ports()[0]
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkMatch(b, p, n, "example.com", "/team-%d/app/users") })
	}
}

// benchmarkMatch goes through all routes, so that the rules are as cold as they are in use, with one exchange, which is
// warm as it is when a request was just read.
func benchmarkMatch(b *testing.B, p *Port, n int, host, path string, header ...string) {
	x := request(b, "GET a/", header...)
	var hosts, paths [][]byte
	for i := range n {
		of := func(format string) []byte {
			if strings.Contains(format, "%") {
				return fmt.Appendf(nil, format, i*7919%n)
			}
			return []byte(format)
		}
		hosts, paths = append(hosts, of(host)), append(paths, of(path))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		x.Req.SetHostBytes(hosts[i])
		x.Path = append(x.Path[:0], paths[i]...)
		if p.Match(x) == nil {
			b.Fatal("no rule")
		}
		if i++; i == n {
			i = 0
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range sizes {
		rs := manyHosts(b, n)
		first := table(b, rs)
		b.Run(fmt.Sprintf("first/%d", n), func(b *testing.B) { benchmarkCompile(b, rs, nil) })
		b.Run(fmt.Sprintf("again/%d", n), func(b *testing.B) { benchmarkCompile(b, rs, first) })
	}
}

func benchmarkCompile(b *testing.B, rs map[string]*xdsv1.Resource, prev *Table) {
	b.ReportAllocs()
	bd := &builder{}
	for b.Loop() {
		if _, err := Compile(rs, prev, bd); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	r := weighted(1, 0, 3)
	b.ReportAllocs()
	for b.Loop() {
		r.Pick()
	}
}

func TestMatchAndPickDoNotAllocate(t *testing.T) {
	p := compile(t, httpListener("http", ""), httpListener("wild", "*.example.com"), backend("s"),
		httpRoute("r", "wild", "", rule(`matches{path{kind:PREFIX value:"/a"} method:"GET" headers{name:"x-a" value:"1,2"}
			query_params{name:"q" value:"a b"}}`, "s")+rule(`matches{path{kind:REGEX value:"/x/[0-9]+"}}`, "s")),
	).Ports()[0]
	r := weighted(1, 2)
	f := func(x *exchange.Exchange) {
		t.Helper()
		n := testing.AllocsPerRun(1000, func() {
			if p.Match(x) == nil {
				t.Fatal("no rule")
			}
			r.Pick()
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
	f(request(t, "GET a.B.example.com:80/a/b?z=1&q=a%20b", "X-A: 1", "X-A: 2"))
	f(request(t, "GET b.example.com/x/123"))
}
