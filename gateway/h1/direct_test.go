package h1

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// A body comes out the same however it is read, and what follows it on the connection stays there.
func TestReadDirect(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		want := make([]byte, rng.IntN(200<<10))
		for i := range want {
			want[i] = byte(rng.Uint32())
		}
		const next = "GET / HTTP/1.1\r\n"
		var src io.Reader = bytes.NewReader(append(bytes.Clone(want), next...))
		if rng.IntN(2) == 0 {
			src = iotest.HalfReader(src)
		}
		r := NewReader(src)
		r.Peek(rng.IntN(100)) // something is read ahead
		ended := 0
		var b Body
		b.Reset(&r, int64(len(want)), nil, func(err error) {
			if ended++; err != nil {
				t.Error(err)
			}
		})
		var got []byte
		if rng.IntN(3) == 0 { // some of it piece by piece
			p, _ := b.Next()
			got = append(got, p...)
		}
		body := exchange.StreamBody(&b, int64(len(want)-len(got)))
		rest, err := exchange.AppendStream(nil, &body, 1<<20)
		if got = append(got, rest...); err != nil || !bytes.Equal(got, want) || ended > 1 {
			t.Fatalf("%d bytes of %d, %v, ended %d times", len(got), len(want), err, ended)
		}
		if p, err := r.Peek(len(next)); err != nil || string(p) != next {
			t.Fatalf("%q follows, %v", p, err)
		}
		r.Release()
	}
}

// A connection that ends within a body breaks it.
func TestReadDirectBreaks(t *testing.T) {
	r := NewReader(bytes.NewReader(make([]byte, 50<<10)))
	defer r.Release()
	var broke error
	var b Body
	b.Reset(&r, 60<<10, nil, func(err error) { broke = err })
	body := exchange.StreamBody(&b, 60<<10)
	got, err := exchange.AppendStream(nil, &body, 1<<20)
	if err != io.ErrUnexpectedEOF || broke != io.ErrUnexpectedEOF || len(got) != 50<<10 {
		t.Errorf("%d bytes, %v, ended with %v", len(got), err, broke)
	}
}
