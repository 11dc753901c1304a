package jsonscan

import (
	"strconv"
	"testing"
)

func BenchmarkValid(b *testing.B) {
	in := body(32 << 10)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Valid(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	in := body(32 << 10)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if Get(in, "max_tokens") == nil {
			b.Fatal("not found")
		}
	}
}

func BenchmarkAppendReplaced(b *testing.B) {
	in := body(32 << 10)
	dst := make([]byte, 0, 2*len(in))
	model := []byte(`"another-model"`)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendReplaced(dst[:0], in, "model", model)
	}
}

func BenchmarkText(b *testing.B) {
	in := body(32 << 10)
	dst := make([]byte, 0, 2*len(in))
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		dst = dst[:0]
		for m := range Elems(Get(in, "messages")) {
			dst = AppendText(dst, Get(m, "content"))
		}
	}
}

func BenchmarkAppendQuoted(b *testing.B) {
	text := AppendText(nil, AppendQuoted(nil, body(32<<10)))
	dst := make([]byte, 0, 2*len(text))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendQuoted(dst[:0], text)
	}
}

// BenchmarkGetBehindNumbers finds a member behind a vector, as usage stands behind embeddings.
func BenchmarkGetBehindNumbers(b *testing.B) {
	in := []byte(`{"data":[{"embedding":[0`)
	for n := range 1536 {
		in = strconv.AppendFloat(append(in, ','), float64(n)/1537, 'f', -1, 64)
	}
	in = append(in, `]}],"usage":{}}`...)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if Get(in, "usage") == nil {
			b.Fatal("not found")
		}
	}
}
