package server_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// seen is what one side of the gateway saw of a message.
type seen struct {
	Line    string
	Host    string
	Fields  map[string][]string
	Body    string
	Length  int64
	Trailer map[string][]string
}

// mirrorSelf answers with a description of the request in the body, and with fields and a trailer that the query asks for.
func mirrorSelf(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	for _, f := range r.URL.Query()["field"] {
		name, value, _ := strings.Cut(f, ":")
		w.Header().Add(name, value)
	}
	w.Header().Set("Trailer", "X-Sum")
	status := 200
	fmt.Sscan(r.URL.Query().Get("status"), &status)
	w.WriteHeader(status)
	if r.URL.Query().Get("chunked") != "" {
		w.(http.Flusher).Flush()
	}
	if status == 204 || status == 304 {
		return
	}
	json.NewEncoder(w).Encode(seen{Line: r.Method + " " + r.RequestURI, Host: r.Host, Fields: r.Header, Body: string(b),
		Length: r.ContentLength, Trailer: r.Trailer})
	w.Header().Set("X-Sum", "7")
}

// call is what a test sends through both front ends.
type call struct {
	method, target string
	host           string
	fields         [][2]string
	body           string
	chunked        bool
	trailer        map[string][]string
}

// do sends a call and returns what the upstream saw and what the client got.
func (g *gateway) do(c *http.Client, in call) (up, down seen, err error) {
	var body io.Reader
	if in.body != "" || in.chunked {
		body = strings.NewReader(in.body)
	}
	if in.chunked {
		body = io.MultiReader(body)
	}
	req, err := http.NewRequest(in.method, "http://"+g.addr+in.target, body)
	if err != nil {
		return up, down, err
	}
	path, query, _ := strings.Cut(in.target, "?")
	if strings.HasPrefix(path, "//") {
		path = "//" + g.addr + path
	}
	req.URL.Opaque, req.URL.RawQuery, req.URL.ForceQuery = path, query, strings.Contains(in.target, "?") // as it is
	req.Host = in.host
	req.Header.Set("User-Agent", "test")
	for _, f := range in.fields {
		if f[0] == "User-Agent" {
			req.Header.Del(f[0])
		}
		req.Header.Add(f[0], f[1])
	}
	if len(in.trailer) > 0 {
		req.Trailer = in.trailer
	}
	resp, err := c.Do(req)
	if err != nil {
		return up, down, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	down = seen{Line: resp.Status[:3], Fields: resp.Header, Trailer: resp.Trailer, Length: resp.ContentLength}
	json.Unmarshal(b, &up)
	if up.Line == "" {
		down.Body = string(b)
	}
	return up, down, err
}

// TestFrontEndsAgree sends the same through HTTP/1.1 and HTTP/2: the upstream sees the same, and so does the client.
func TestFrontEndsAgree(t *testing.T) {
	calls := []call{
		{method: "GET", target: "/"},
		{method: "GET", target: "/?"},
		{method: "GET", target: "/a%2fb/./c/../d//e?x=%20&y=+;z"},
		{method: "GET", target: "/%7Euser/%e4%bd%a0"},
		{method: "GET", target: "/a|b\"c?q=a|b\"c"},
		{method: "HEAD", target: "/h"},
		{method: "OPTIONS", target: "/o"},
		{method: "PROPFIND", target: "/p", body: "<x/>"},
		{method: "DELETE", target: "/d"},
		{method: "DELETE", target: "/d", body: "why"},
		{method: "GET", target: "/with-body", body: "odd"},
		{method: "POST", target: "/p"},
		{method: "POST", target: "/p", body: "abc"},
		{method: "POST", target: "/p", body: strings.Repeat("x", 300<<10)},
		{method: "POST", target: "/p", body: "abc", chunked: true},
		{method: "POST", target: "/p", body: "", chunked: true},
		{method: "POST", target: "/p", body: "abc", chunked: true, trailer: map[string][]string{"X-Check": {"1"}, "X-More": {"a"}}},
		{method: "GET", target: "/c", fields: [][2]string{{"Cookie", "a=b; c=\"d e\"; =f; g; h=i=j"}}},
		{method: "GET", target: "/c", fields: [][2]string{{"Cookie", "a=b"}, {"Cookie", "c=d"}}},
		{method: "GET", target: "/m", fields: [][2]string{{"X-Multi", "b"}, {"X-Multi", "a"}, {"X-Multi", ""}, {"Accept", "a, b"}}},
		{method: "GET", target: "/te", fields: [][2]string{{"Te", "trailers"}}},
		{method: "GET", target: "/xf", fields: [][2]string{{"X-Forwarded-For", "1.2.3.4"}, {"X-Forwarded-For", "5.6.7.8"},
			{"X-Forwarded-Proto", "https"}, {"X-Forwarded-Proto", "ftp"}, {"X-Forwarded-Host", "evil"}, {"X-Forwarded-Host", "evil2"}}},
		{method: "GET", target: "/host", host: "Example.COM:8080"},
		{method: "GET", target: "/ua", fields: [][2]string{{"User-Agent", ""}}},
		{method: "GET", target: "/utf8", fields: [][2]string{{"X-Text", "caf\u00e9"}}},
		{method: "GET", target: "/r?field=X-A:1&field=X-A:2&field=Set-Cookie:a%3D1&field=Set-Cookie:a%3D2;+Path%3D/x&field=Server:s"},
		{method: "GET", target: "/r?chunked=1&field=Content-Type:x/y"},
		{method: "GET", target: "/r?status=204&field=X-A:1"},
		{method: "GET", target: "/r?status=304&field=Etag:%22x%22"},
		{method: "HEAD", target: "/r?status=404"},
		{method: "GET", target: "/r?status=500&chunked=1"},
		{method: "GET", target: "/bad%zz"},
		{method: "GET", target: "/nul%00"},
	}
	calls = append(calls, generated(200)...)
	g := start(t, http.HandlerFunc(mirrorSelf))
	clients := g.clients()
	for _, in := range calls {
		up1, down1, err1 := g.do(clients["h1"], in)
		up2, down2, err2 := g.do(clients["h2"], in)
		name := fmt.Sprintf("%s %s %v", in.method, in.target, in.fields)
		if (err1 == nil) != (err2 == nil) {
			t.Errorf("%s: %v, %v", name, err1, err2)
		}
		same(t, name+": the upstream saw", up1, up2)
		same(t, name+": the client got", down1, down2)
	}
}

func same(t *testing.T, what string, a, b seen) {
	t.Helper()
	if a.Length < 0 { // HTTP/2 may know the length all the same
		b.Length = a.Length
		delete(b.Fields, "Content-Length")
	}
	for _, s := range []*seen{&a, &b} {
		delete(s.Fields, "Date")
		delete(s.Fields, "Accept-Encoding")
		if len(s.Trailer) == 0 {
			s.Trailer = nil
		}
	}
	if !reflect.DeepEqual(a, b) {
		a.Body, b.Body = a.Body[:min(99, len(a.Body))], b.Body[:min(99, len(b.Body))]
		t.Errorf("%s\n  h1 %+v\n  h2 %+v", what, a, b)
	}
}

// generated makes calls by chance, the same in every run.
func generated(n int) (out []call) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	for range n {
		c := call{method: pick("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"), target: "/", chunked: r.IntN(3) == 0}
		for range r.IntN(6) {
			c.target += pick("a", "/", "%2F", ".", "..", "%2e", "~", "é", "+", ";", "=", "%41", "b c"[:1])
		}
		if r.IntN(2) == 0 {
			c.target += "?" + pick("", "x", "x=1&y=%20", "é=1", "a?b", "status=201", "chunked=1")
		}
		if c.method == "GET" || c.method == "HEAD" || c.method == "OPTIONS" {
			c.chunked = false
		} else {
			c.body = string(bodyOf("gen", r.IntN(100)*r.IntN(100)*r.IntN(20)))
		}
		for range r.IntN(4) {
			c.fields = append(c.fields, [2]string{pick("X-A", "x-b", "Accept", "Authorization", "Content-Type", "Cookie", "If-Match"), pick("", "1", "a, b", "a=b", "ü")})
		}
		out = append(out, c)
	}
	return out
}

// What a request says of its own connection is not forwarded, and neither is what an answer says of its.
func TestHopByHop(t *testing.T) {
	got := make(chan *http.Request, 1)
	s := scripted(t, func(n int64, c net.Conn, r *bufio.Reader) {
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			got <- req
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive, x-own\r\nConnection: X-More\r\nX-Own: 1\r\n"+
				"X-More: 2\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nX-Kept: 3\r\nTrailer: X-T\r\n\r\n")
		}
	})
	c := startScript(t, s).dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: X-Secret, keep-alive\r\nConnection: upgrade, x-other, X-Forwarded-For\r\nX-Secret: 1\r\n" +
		"X-Other: 2\r\nKeep-Alive: 5\r\nTE: gzip\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nProxy-Connection: x\r\n" +
		"Proxy-Authorization: Basic x\r\nTrailer: X-Kept\r\nX-Kept: 3\r\n\r\n")
	resp, _ := c.answer("GET")
	req := <-got
	if names := slices.Sorted(maps.Keys(req.Header)); !slices.Equal(names, []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Kept"}) {
		t.Errorf("the upstream saw %v", req.Header)
	}
	if ff := req.Header["X-Forwarded-For"]; len(ff) != 1 || ff[0] != "127.0.0.1" || req.Host != "h" {
		t.Errorf("X-Forwarded-For %q, host %q", ff, req.Host)
	}
	if names := slices.Sorted(maps.Keys(resp.Header)); !slices.Equal(names, []string{"Content-Length", "Date", "X-Kept"}) {
		t.Errorf("the client got %v", resp.Header)
	}
	if status, _ := c.get("/again"); status != 200 || s.conns.Load() != 1 {
		t.Errorf("%d over %d connections", status, s.conns.Load())
	}
	<-got
}

// Fields that clients forge are replaced, all of them, whatever else the head says.
func TestForwardedFields(t *testing.T) {
	got := make(chan http.Header, 1)
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got <- r.Header }))
	for _, extra := range []string{"", "Trailer: X-Tenant\r\n", "Connection: X-Forwarded-For, X-Forwarded-Proto\r\n", "Connection: close, Host\r\n"} {
		c := g.dial()
		c.send("GET / HTTP/1.1\r\nHost: real\r\n" + extra + "X-Forwarded-For: a\r\nX-A: 1\r\nX-A: 2\r\nX-Forwarded-For: b\r\n" +
			"x-forwarded-proto: https\r\nX-Forwarded-Proto: ftp\r\nX-Forwarded-Host: a\r\nX-Forwarded-Host: b\r\nX-A: 3\r\n\r\n")
		c.answer("GET")
		h := <-got
		for name, want := range map[string][]string{"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"http"},
			"X-Forwarded-Host": {"real"}, "X-A": {"1", "2", "3"}} {
			if !slices.Equal(h[name], want) {
				t.Errorf("%q: %s is %q, want %q", extra, name, h[name], want)
			}
		}
	}
}

func TestDate(t *testing.T) {
	const old = "Sun, 06 Nov 1994 08:49:37 GMT"
	c := startScript(t, say(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: "+old+"\r\n\r\n")).dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if resp, _ := c.answer("GET"); len(resp.Header["Date"]) != 1 || resp.Header.Get("Date") != old {
		t.Errorf("dates %q", resp.Header["Date"])
	}
	c = startScript(t, say(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n")
	resp, _ := c.answer("GET")
	if _, err := http.ParseTime(resp.Header.Get("Date")); err != nil || !resp.Close {
		t.Errorf("date %q, %v, close %v", resp.Header["Date"], err, resp.Close)
	}
	c.ended()
}

// rawH2 sends one request made of literal fields and says what came of it: the status, or 0 when the stream or the
// connection was ended.
func (g *gateway) rawH2(fields ...string) int {
	c := g.dial()
	var block []byte
	for i := 0; i < len(fields); i += 2 {
		block = append(block, 0) // a literal without indexing, RFC 7541, 6.2.2
		for _, s := range fields[i : i+2] {
			if len(s) < 127 {
				block = append(block, byte(len(s)))
			} else {
				block = binary.AppendUvarint(append(block, 127), uint64(len(s)-127))
			}
			block = append(block, s...)
		}
	}
	out := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	out = appendFrame(out, 4, 0, 0, nil)
	kind, id := byte(1), uint32(1)
	for rest := block; ; kind = 9 {
		n := min(len(rest), 16<<10)
		flags := byte(0)
		if n == len(rest) {
			flags |= 4 // END_HEADERS
		}
		if kind == 1 {
			flags |= 1 // END_STREAM
		}
		out = appendFrame(out, kind, flags, id, rest[:n])
		if rest = rest[n:]; len(rest) == 0 {
			break
		}
	}
	go c.Write(out)
	for {
		var head [9]byte
		if _, err := io.ReadFull(c.r, head[:]); err != nil {
			return 0
		}
		p := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		io.ReadFull(c.r, p)
		switch head[3] {
		case 1:
			return h2Status(p)
		case 3, 7:
			return 0
		}
	}
}

func appendFrame(dst []byte, kind, flags byte, stream uint32, p []byte) []byte {
	dst = append(dst, byte(len(p)>>16), byte(len(p)>>8), byte(len(p)), kind, flags)
	return append(binary.BigEndian.AppendUint32(dst, stream), p...)
}

// h2Status finds the status at the beginning of a block: indexed (RFC 7541, appendix A), or some other one: 1.
func h2Status(p []byte) int {
	if i := bytes.IndexByte([]byte{0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e}, p[0]); i >= 0 {
		return []int{200, 204, 206, 304, 400, 404, 500}[i]
	}
	return 1
}

// What HTTP/2 can carry and HTTP/1.1 cannot is refused, not sent on as something else.
func TestHTTP2ToHTTP1(t *testing.T) {
	asked := 0
	g := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	f := func(ok bool, fields ...string) {
		t.Helper()
		asked = 0
		if got := g.rawH2(fields...); (got == 200) != ok || (asked == 1) != ok {
			t.Errorf("%q: status %d, the upstream was asked %d times", fields, got, asked)
		}
	}
	base := func(method, path string, more ...string) []string {
		return append([]string{":method", method, ":scheme", "http", ":path", path, ":authority", "h"}, more...)
	}
	f(true, base("GET", "/")...)
	f(true, base("GET", "/?a=b")...)
	f(true, base("GET", "/", "host", "h")...)
	f(true, base("GET", "/", "x-a", strings.Repeat("a", 30<<10))...)
	f(false, base("GET", "/", "x-a", strings.Repeat("a", 34<<10))...)
	f(false, base("GET", "/", "x-a", strings.Repeat("a", 200<<10))...)
	f(false, base("GET /x HTTP/1.1", "/")...)
	f(false, base("GET\r\nX: y", "/")...)
	f(false, base("", "/")...)
	f(false, base("GET", "/?a b HTTP/1.1")...)
	f(false, base("GET", "/?a\tb")...)
	f(false, base("GET", "/a\r\nX: y")...)
	f(false, base("GET", "a")...)
	f(false, base("GET", "/#f")...)
	f(false, base("GET", "/", "host", "other")...)
	f(false, base("GET", "/", "x", "a\r\nb: c")...)
	f(false, base("GET", "/", "x", "a\x00")...)
	f(false, base("GET", "/", "x y", "a")...)
	f(false, base("GET", "/", "X", "a")...)
	f(false, base("GET", "/", "transfer-encoding", "chunked")...)
	f(false, base("GET", "/", "connection", "close")...)
	f(false, base("GET", "/", "content-length", "5")...)
	f(false, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a b")
	f(false, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "u@h")
}

// Fields reach the upstream as the client wrote them.
func TestFieldsAreKept(t *testing.T) {
	got := make(chan http.Header, 1)
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got <- r.Header }))
	c := g.dial()
	f := func(name, value string) {
		t.Helper()
		c.send("GET / HTTP/1.1\r\nHost: h\r\n" + name + ": " + value + "\r\n\r\n")
		c.answer("GET")
		if h := <-got; h.Get(name) != value {
			t.Errorf("%s: %q became %q", name, value, h[name])
		}
	}
	f("Cookie", "a=b; c=d")
	f("Cookie", `a="b c"; d="e"`)
	f("Cookie", "a=b=c; d")
	f("Cookie", "=x; y=")
	f("Cookie", "a=b;c=d")
	f("Cookie", "a=%20+%; b={\"x\":1}")
	f("Content-Type", `multipart/form-data; boundary="x"`)
	f("User-Agent", "a (b) c/1")
	f("Accept", "a,b;q=0.1,  c")
	f("Authorization", "Bearer a.b-c_d==")
	f("Range", "bytes=0-5,7-")
	f("X-Long", strings.Repeat("long ", 5000)+"x")
}
