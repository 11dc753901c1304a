package logs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

func read(t *testing.T, l *Log, q Query) string {
	t.Helper()
	var b bytes.Buffer
	if err := l.Read(t.Context(), q, &b, func() {}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRead(t *testing.T) {
	l := New(nil)
	fmt.Fprint(l, "one\ntw")
	fmt.Fprint(l, "o\nthree")
	f := func(q Query, want string) {
		t.Helper()
		if got := read(t, l, q); got != want {
			t.Errorf("%+v: got %q, want %q", q, got, want)
		}
	}
	f(Query{Tail: -1}, "one\ntwo\n")
	l.Close()
	f(Query{Tail: -1}, "one\ntwo\nthree\n")
	f(Query{Tail: 2}, "two\nthree\n")
	f(Query{Tail: 0}, "")
	f(Query{Tail: 9}, "one\ntwo\nthree\n")
	f(Query{Tail: -1, Limit: 5}, "one\nt")
	f(Query{Tail: -1, Since: time.Now()}, "")
	f(Query{Tail: -1, Follow: true}, "one\ntwo\nthree\n")
	stamp, _, _ := strings.Cut(read(t, l, Query{Tail: 1, Timestamps: true}), " ")
	if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil {
		t.Error(err)
	}
}

func TestFollow(t *testing.T) {
	l := New(nil)
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- l.Read(ctx, Query{Tail: -1, Follow: true}, w, func() {}) }()
	for i := range 100 {
		fmt.Fprintln(l, i)
		buf := make([]byte, len(fmt.Sprintln(i)))
		if _, err := io.ReadFull(r, buf); err != nil || string(buf) != fmt.Sprintln(i) {
			t.Fatalf("got %q, %v, want %d", buf, err, i)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestBounds(t *testing.T) {
	l := New(nil)
	long := bytes.Repeat([]byte("x"), maxLine+10)
	for range 20 {
		_, _ = l.Write(append(long, '\n'))
	}
	if n := len(read(t, l, Query{Tail: -1})); n > maxBytes+maxLine {
		t.Errorf("%d bytes are kept", n)
	}
	fmt.Fprintln(l, "last")
	if got := read(t, l, Query{Tail: 1}); got != "last\n" {
		t.Errorf("the last line is %q", got)
	}
}
