package exchange

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
)

// pieces is a stream that counts how it is closed.
type pieces struct {
	list   [][]byte
	err    error
	closed int
}

func (p *pieces) Next() ([]byte, error) {
	if len(p.list) == 0 {
		return nil, p.err
	}
	b := p.list[0]
	p.list = p.list[1:]
	return b, nil
}

func (p *pieces) Close() error {
	p.closed++
	return nil
}

func split(b []byte, size int) (out [][]byte) {
	for ; len(b) > size; b = b[size:] {
		out = append(out, b[:size])
	}
	return append(out, b)
}

func TestReadBody(t *testing.T) {
	errBroken := errors.New("broken")
	f := func(size, length, limit int64, end, want error) {
		t.Helper()
		x := Acquire(context.Background(), nil)
		defer Release(x)
		data := bytes.Repeat([]byte("0123456789"), int(size/10)+1)[:size]
		s := &pieces{list: split(data, 4000), err: end}
		x.ReqBody = StreamBody(s, length)
		b, err := x.ReadBody(limit)
		var large *TooLargeError
		switch {
		case want == nil && (err != nil || !bytes.Equal(b, data) || s.closed != 1 || x.ReqBody.Stream != nil):
			t.Errorf("%d of %d: %d bytes, %v, closed %d times", size, limit, len(b), err, s.closed)
		case errors.As(want, &large) != errors.As(err, &large) || large == nil && !errors.Is(err, want):
			t.Errorf("%d of %d: %v, want %v", size, limit, err, want)
		}
		if again, err2 := x.ReadBody(limit); want == nil && (err2 != nil || !bytes.Equal(again, data)) {
			t.Errorf("%d of %d: read again: %d bytes, %v", size, limit, len(again), err2)
		}
	}
	large := &TooLargeError{}
	f(1, 1, 100, io.EOF, nil)
	f(100, 100, 100, io.EOF, nil)
	f(101, 101, 100, io.EOF, large)
	f(101, -1, 100, io.EOF, large)
	f(300000, 300000, 1<<20, io.EOF, nil)
	f(300000, -1, 1<<20, io.EOF, nil)
	f(300000, 300000, 1<<20, errBroken, errBroken)
	f(2<<20, -1, 1<<20, io.EOF, large)
}

// The length that a client claims takes no memory before its bytes come.
func TestClaimedLengthCostsNothing(t *testing.T) {
	body := StreamBody(&pieces{list: [][]byte{[]byte("abc")}, err: io.ErrUnexpectedEOF}, 32<<20)
	b, err := AppendStream(nil, &body, 32<<20)
	if string(b) != "abc" || err != io.ErrUnexpectedEOF || cap(b) > 1<<20 {
		t.Errorf("%q of %d, %v", b, cap(b), err)
	}
}

func TestReader(t *testing.T) {
	data := bytes.Repeat([]byte("abcdefg"), 5000)
	s := &pieces{list: split(data, 999), err: io.EOF}
	r := Reader(s)
	got, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if !bytes.Equal(got, data) || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if r.Close(); s.closed != 1 {
		t.Errorf("closed %d times", s.closed)
	}
}

// The context of an exchange ends when the client leaves, and when the exchange is released; the watch ends before that.
func TestContext(t *testing.T) {
	var leave func()
	armed, unarmed := 0, 0
	watch := func(gone func()) func() {
		armed, leave = armed+1, gone
		return func() { unarmed++ }
	}
	x := Acquire(context.Background(), watch)
	if x.Gone() || armed != 0 {
		t.Error("watched before anybody asked")
	}
	ctx := x.Context()
	if x.Context() != ctx || armed != 1 {
		t.Errorf("watched %d times", armed)
	}
	if leave(); !x.Gone() || ctx.Err() == nil {
		t.Error("the client has left")
	}
	Release(x)
	x = Acquire(context.Background(), watch)
	ctx = x.Context()
	if Release(x); ctx.Err() == nil || unarmed != 2 {
		t.Errorf("after the release: %v, unarmed %d times", ctx.Err(), unarmed)
	}
}

type releaser func()

func (r releaser) Release() { r() }

func TestReleaseForgets(t *testing.T) {
	x := Acquire(context.Background(), nil)
	released := 0
	x.Keep(releaser(func() { released++ }))
	x.Req.Set("Cookie", "a=\"b\"")
	x.Req.Set("X-A", "1")
	x.Note, x.Left, x.ReqTrailer = "note", true, Trailer{{"a", "b"}}
	x.Path = append(x.Path, "/secret"...)
	Release(x)
	for range 100 {
		y := Acquire(context.Background(), nil)
		if y.Note != "" || y.Left || len(y.ReqTrailer)+len(y.Path) > 0 || len(y.Req.Peek("X-A")) > 0 || y.Cookie() != nil {
			t.Fatalf("something is left: %+v", y)
		}
		defer Release(y)
	}
	if released != 1 {
		t.Errorf("released %d times", released)
	}
}

func TestCookie(t *testing.T) {
	f := func(fields []string, want string) {
		t.Helper()
		x := Acquire(context.Background(), nil)
		defer Release(x)
		x.SetCookie(fields)
		got := x.Cookie()
		if got == nil {
			got = x.Req.Peek("Cookie")
		}
		if string(got) != want {
			t.Errorf("%q: %q, want %q", fields, got, want)
		}
		x.Req.DelAllCookies()
		x.Req.Set("Cookie", "of=filter")
		if got := x.Cookie(); got != nil {
			t.Errorf("%q: a filter's cookie was undone by %q", fields, got)
		}
	}
	f([]string{"a=b"}, "a=b")
	f([]string{"a=b; c=d"}, "a=b; c=d")
	f([]string{`a="b c"`, "", "d"}, `a="b c"; d`)
	f([]string{`{"x":1}`}, `{"x":1}`)
}
