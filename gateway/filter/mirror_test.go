package filter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// outcomes are told as they come.
type outcomes chan string

func (o outcomes) Mirrored(backend string, out Outcome) { o <- backend + " " + string(out) }

// mirrors are n mirror filters to a server that answers with handle.
func mirrors(t *testing.T, n int, share string, handle http.HandlerFunc) (Chain, outcomes) {
	t.Helper()
	s := httptest.NewServer(handle)
	addr := netip.MustParseAddrPort(s.Listener.Addr().String())
	cl := upstream.NewCluster(upstream.Config{Name: "a/m:80", Host: addr.Addr().String(), Port: uint32(addr.Port())})
	t.Cleanup(func() {
		cl.Close()
		s.Close()
	})
	told := make(outcomes, 1000)
	env := Env{Mirrors: NewMirrors(told), Cluster: func(key string) (*upstream.Cluster, error) {
		if key != "backend/a/m/80" {
			return nil, fmt.Errorf("%s: there is no such backend", key)
		}
		return cl, nil
	}}
	var texts []string
	for range n {
		texts = append(texts, `mirror{backend:"backend/a/m/80" `+share+`}`)
	}
	c, err := Build(filters(t, append(texts, `request_headers{set{name:"x-set" value:"1"}}`)...), env)
	if err != nil {
		t.Fatal(err)
	}
	return c, told
}

func (o outcomes) expect(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-o:
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	case <-time.After(time.Minute):
		t.Fatal("the mirror did not end")
	}
}

// seen is what a mirror got.
type seen struct{ line, header, body string }

func record(to chan seen) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		to <- seen{r.Method + " " + r.Host + r.RequestURI, r.Header.Get("X-Set"), string(body)}
		w.WriteHeader(503)
		fmt.Fprint(w, "nobody reads this")
	}
}

func TestMirrorGetsWhatTheBackendGets(t *testing.T) {
	got := make(chan seen, 10)
	c, told := mirrors(t, 2, "", record(got))
	x := request(t, "/a%2Fb?q=1")
	x.Req.SetMethod("POST")
	body := []byte("hello")
	x.ReqBody = exchange.BytesBody(body)
	run(c, x, func() {})
	copy(body, "?????") // the copy does not alias the request
	exchange.Release(x)
	for range 2 {
		want := seen{"POST example.com/a%2Fb?q=1", "1", "hello"}
		if s := <-got; s != want {
			t.Errorf("%+v, want %+v", s, want)
		}
		told.expect(t, "a/m:80 sent")
	}
}

// pieces is a stream of a test.
type pieces struct {
	list   []string
	err    error // after the last; nil: io.EOF
	closed bool
}

func (p *pieces) Next() ([]byte, error) {
	if len(p.list) == 0 {
		if p.err != nil {
			return nil, p.err
		}
		return nil, io.EOF
	}
	b := []byte(p.list[0])
	p.list = p.list[1:]
	return b, nil
}

func (p *pieces) Close() error { p.closed = true; return nil }

type deadlined struct {
	pieces
	at time.Time
}

func (d *deadlined) SetDeadline(at time.Time) { d.at = at }

func TestMirrorOfAStream(t *testing.T) {
	got := make(chan seen, 1)
	c, told := mirrors(t, 1, "", record(got))
	f := func(length int64, read int) {
		t.Helper()
		x := request(t, "/")
		x.Req.SetMethod("POST")
		s := &pieces{list: []string{"one ", "two ", "three"}}
		x.ReqBody = exchange.StreamBody(s, length)
		run(c, x, func() {
			for range read {
				if _, err := x.ReqBody.Stream.Next(); err != nil && !errors.Is(err, io.EOF) {
					t.Error(err)
				}
			}
		})
		if s := <-got; s.body != "one two three" {
			t.Errorf("%q", s.body)
		}
		x.ReqBody.Close()
		if !s.closed {
			t.Error("Close was swallowed")
		}
		told.expect(t, "a/m:80 sent")
	}
	f(-1, 4)
	f(13, 4)
	f(13, 3) // a reader that knows the length does not ask for the end
}

func TestMirrorEndsWithTheRequest(t *testing.T) {
	c, told := mirrors(t, 1, "", record(make(chan seen, 1)))
	f := func(s exchange.Stream, answer func(exchange.Stream)) {
		t.Helper()
		x := request(t, "/")
		x.Req.SetMethod("POST")
		x.ReqBody = exchange.StreamBody(s, -1)
		run(c, x, func() { answer(x.ReqBody.Stream) })
		x.ReqBody.Close()
		told.expect(t, "a/m:80 failed")
	}
	f(&pieces{list: []string{"never read"}}, func(exchange.Stream) {})
	f(&pieces{list: []string{"one", "two"}}, func(s exchange.Stream) { s.Next() })
	f(&pieces{err: io.ErrUnexpectedEOF}, func(s exchange.Stream) {
		if _, err := s.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
	})
}

func TestMirrorThatLagsIsDropped(t *testing.T) {
	hold := make(chan struct{})
	c, told := mirrors(t, 1, "", func(w http.ResponseWriter, r *http.Request) { <-hold })
	x := request(t, "/")
	x.Req.SetMethod("POST")
	piece := strings.Repeat("x", 64<<10)
	s := &pieces{}
	for range 1000 {
		s.list = append(s.list, piece)
	}
	x.ReqBody = exchange.StreamBody(s, -1)
	n := 0
	run(c, x, func() {
		for {
			b, err := x.ReqBody.Stream.Next()
			if err != nil {
				return
			}
			n += len(b)
		}
	})
	if n != 1000*len(piece) {
		t.Errorf("%d bytes", n)
	}
	close(hold)
	told.expect(t, "a/m:80 dropped")
}

func TestMirrorsAreBounded(t *testing.T) {
	hold := make(chan struct{})
	c, told := mirrors(t, maxMirrors+10, "", func(w http.ResponseWriter, r *http.Request) { <-hold })
	run(c, request(t, "/"), func() {})
	for range 10 {
		told.expect(t, "a/m:80 dropped")
	}
	close(hold)
	for range maxMirrors {
		told.expect(t, "a/m:80 sent")
	}
	run(Chain{Request: c.Request[1:2]}, request(t, "/"), func() {}) // there is room again
	told.expect(t, "a/m:80 sent")
}

func TestMirrorOfAShare(t *testing.T) {
	c, told := mirrors(t, 1, "numerator:1 denominator:4", func(http.ResponseWriter, *http.Request) {})
	const n = 400
	for range n {
		run(c, request(t, "/"), func() {})
	}
	sent := 0
	for done := false; !done; {
		select {
		case <-told:
			sent++
		case <-time.After(3 * time.Second):
			done = true
		}
	}
	if sent < n/4-45 || sent > n/4+45 { // 5 standard deviations
		t.Errorf("%d of %d", sent, n)
	}
}

func TestWhatIsNotMirrored(t *testing.T) {
	c, told := mirrors(t, 1, "numerator:0 denominator:100", func(http.ResponseWriter, *http.Request) {})
	run(c, request(t, "/"), func() {})
	c, _ = mirrors(t, 1, "", func(http.ResponseWriter, *http.Request) { t.Error("an upgrade was mirrored") })
	run(c, request(t, "/", "Connection: Upgrade", "Upgrade: websocket"), func() {})
	if len(told) != 0 {
		t.Error(<-told)
	}
	if c := build(t, `mirror{}`); len(c.Request) != 0 {
		t.Error("a mirror without a backend became a filter")
	}
	_, err := Build([]*xdsv1.Filter{{Kind: &xdsv1.Filter_Mirror{Mirror: &xdsv1.Mirror{Backend: "x"}}}}, Env{
		Cluster: func(key string) (*upstream.Cluster, error) { return nil, errors.New("there is no " + key) },
	})
	if err == nil || err.Error() != "filters[0].mirror.backend: there is no x" {
		t.Error(err)
	}
}

func TestTeeIsWhatItsStreamIs(t *testing.T) {
	p := newPipe(t.Context())
	if _, ok := newTee(&pieces{}, p, -1).(exchange.Deadliner); ok {
		t.Error("a deadline appeared")
	}
	s := &deadlined{pieces: pieces{list: []string{"a"}}}
	d, ok := newTee(s, p, -1).(exchange.Deadliner)
	if !ok {
		t.Fatal("the deadline was lost")
	}
	at := time.Now()
	d.SetDeadline(at)
	if !s.at.Equal(at) {
		t.Error("the deadline was not passed on")
	}
	b, err := d.(exchange.Stream).Next()
	if err != nil || !bytes.Equal(b, []byte("a")) {
		t.Errorf("%q, %v", b, err)
	}
}
