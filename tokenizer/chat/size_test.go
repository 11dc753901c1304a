package chat_test

import (
	"bytes"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"testing"

	"github.com/nantian-gw/nantian/tokenizer/chat"
)

// pictures are 300 by 200 pixels in each format. Those of WebP are its first chunk: there is no encoder at hand.
func pictures(tb testing.TB) map[string][]byte {
	tb.Helper()
	m := image.NewPaletted(image.Rect(0, 0, 300, 200), color.Palette{color.Black, color.White})
	var p, j, g bytes.Buffer
	for _, err := range []error{png.Encode(&p, m), jpeg.Encode(&j, m, nil), gif.Encode(&g, m, nil)} {
		if err != nil {
			tb.Fatal(err)
		}
	}
	riff := "RIFF\x00\x01\x00\x00WEBP"
	return map[string][]byte{
		"png": p.Bytes(), "jpeg": j.Bytes(), "gif": g.Bytes(),
		"lossy":    []byte(riff + "VP8 \x00\x00\x00\x00\x10\x00\x00\x9d\x01\x2a\x2c\x01\xc8\x00"),
		"lossless": []byte(riff + "VP8L\x00\x00\x00\x00\x2f\x2b\xc1\x31\x00\x00\x00\x00\x00\x00"),
		"extended": []byte(riff + "VP8X\x0a\x00\x00\x00\x00\x00\x00\x00\x2b\x01\x00\xc7\x00\x00"),
	}
}

func TestSize(t *testing.T) {
	for name, file := range pictures(t) {
		if w, h := chat.Size(bytes.NewReader(file)); w != 300 || h != 200 {
			t.Errorf("%s: %d by %d, want 300 by 200", name, w, h)
		}
		if w, h := chat.Size(bytes.NewReader(file[:15])); w != 0 || h != 0 {
			t.Errorf("%s cut short: %d by %d, want 0", name, w, h)
		}
	}
	if w, h := chat.Size(bytes.NewReader(nil)); w != 0 || h != 0 {
		t.Errorf("nothing: %d by %d", w, h)
	}
}

func FuzzSize(f *testing.F) {
	for _, file := range pictures(f) {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if w, h := chat.Size(bytes.NewReader(file)); w < 0 || h < 0 {
			t.Errorf("%q: %d by %d", file, w, h)
		}
	})
}
