package chat

import (
	"bytes"
	"encoding/binary"
	"image"
	_ "image/gif"
	_ "image/jpeg"
	_ "image/png"
	"io"
)

// maxHead bounds what is read of an image to find its size, in bytes: JPEG files may have a preview before it.
const maxHead = 256 << 10

// Size returns the size that a PNG, JPEG, GIF or WebP file says it has, in pixels, and 0, 0 if it can't be told. It decodes
// no pixels.
func Size(r io.Reader) (width, height int) {
	var head [30]byte
	r = io.LimitReader(r, maxHead)
	n, _ := io.ReadFull(r, head[:])
	if string(head[:4]) == "RIFF" && string(head[8:12]) == "WEBP" {
		return webp(head[:n])
	}
	c, _, err := image.DecodeConfig(io.MultiReader(bytes.NewReader(head[:n]), r))
	if err != nil {
		return 0, 0
	}
	return c.Width, c.Height
}

// webp reads the size from the first chunk of a WebP file (RFC 9649, sections 2.4 to 2.7).
func webp(b []byte) (width, height int) {
	if len(b) < 30 {
		return 0, 0
	}
	switch string(b[12:16]) {
	case "VP8 ":
		if b[23] != 0x9d || b[24] != 0x01 || b[25] != 0x2a {
			return 0, 0
		}
		return int(binary.LittleEndian.Uint16(b[26:]) & 0x3FFF), int(binary.LittleEndian.Uint16(b[28:]) & 0x3FFF)
	case "VP8L":
		if b[20] != 0x2f {
			return 0, 0
		}
		x := binary.LittleEndian.Uint32(b[21:])
		return int(x&0x3FFF) + 1, int(x>>14&0x3FFF) + 1
	case "VP8X":
		return int(binary.LittleEndian.Uint32(b[24:])&0xFFFFFF) + 1, int(binary.LittleEndian.Uint32(b[26:])>>8) + 1
	}
	return 0, 0
}
