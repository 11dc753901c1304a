package grpcweb

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"slices"
	"testing"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
)

// pieces is a body that comes in pieces of a size.
type pieces struct {
	b []byte
	n int
}

func (p *pieces) Next() ([]byte, error) {
	if len(p.b) == 0 {
		return nil, io.EOF
	}
	n := min(p.n, len(p.b))
	b := p.b[:n]
	p.b = p.b[n:]
	return b, nil
}

func (p *pieces) Close() error { return nil }

// FuzzText: whatever was encoded, in parts that are padded anywhere and come in pieces of any size, is decoded to itself, and what
// is not base64 is refused in whichever way it comes.
func FuzzText(f *testing.F) {
	f.Add([]byte("hello, world"), uint8(3), uint8(5))
	f.Add([]byte("a"), uint8(1), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, part, size uint8) {
		var coded []byte
		for rest := b; len(rest) > 0; {
			n := min(int(part)+1, len(rest))
			coded = base64.StdEncoding.AppendEncode(coded, rest[:n])
			rest = rest[n:]
		}
		if got, err := stream(coded, int(size)+1); err != nil || !bytes.Equal(got, b) {
			t.Fatalf("%q: %q, %v", coded, got, err)
		}
		whole, errWhole := decode(b)
		parts, errParts := stream(b, int(size)+1)
		if (errWhole == nil) != (errParts == nil) || errWhole == nil && !bytes.Equal(whole, parts) {
			t.Errorf("%q: %q, %v, and in pieces %q, %v", b, whole, errWhole, parts, errParts)
		}
	})
}

func stream(b []byte, size int) ([]byte, error) {
	body := exchange.StreamBody(&decoder{Stream: &pieces{b, size}}, -1)
	return exchange.AppendStream(nil, &body, 1<<20)
}

// TestFrames: the boundaries of messages are found wherever pieces end.
func TestFrames(t *testing.T) {
	messages := []byte("\x00\x00\x00\x00\x03abc\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01x")
	whole := map[int]bool{0: true, 8: true, 13: true, 19: true}
	for size := 1; size <= len(messages); size++ {
		f, n := frames{}, 0
		for p := range slices.Chunk(messages, size) {
			f.add(p)
			if n += len(p); f.whole() != whole[n] {
				t.Errorf("pieces of %d, after %d bytes: %t", size, n, f.whole())
			}
		}
	}
}

// TestOthers: what is not gRPC-Web costs nothing and stays as it is.
func TestOthers(t *testing.T) {
	x := exchange.Acquire(context.Background(), nil)
	defer exchange.Release(x)
	for _, contentType := range []string{"application/grpc", "application/grpc+proto", "application/grpc-webby", "application/json", ""} {
		x.Req.SetContentType(contentType)
		x.Resp.SetContentType("application/grpc")
		f := Filter{}
		n := testing.AllocsPerRun(100, func() {
			if f.OnRequest(x) != filter.Continue {
				t.Fatal("refused")
			}
			f.OnResponse(x)
		})
		if n > 0 || string(x.Req.ContentType()) != contentType || string(x.Resp.ContentType()) != "application/grpc" {
			t.Errorf("%s: %v allocations, %s, %s", contentType, n, x.Req.ContentType(), x.Resp.ContentType())
		}
	}
}
