package redis

import (
	"crypto/sha1"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

//go:embed script.lua
var source string

// A script is the store's half of an exchange.
type script struct{ source, sha string }

func newScript(source string) *script {
	sum := sha1.Sum([]byte(source)) // what EVALSHA names a script by
	return &script{source, hex.EncodeToString(sum[:])}
}

// at returns the script with a clock that stands still, for tests.
func (s *script) at(milliseconds int64) *script {
	clock := fmt.Sprintf("{'%d', '%06d'}", milliseconds/1000, milliseconds%1000*1000)
	return newScript(strings.Replace(source, "redis.call('TIME')", clock, 1))
}

// numbers are integers from 0 to 2^53-1 as a MessagePack array, which Lua reads without going through text.
// Source: github.com/msgpack/msgpack/blob/master/spec.md.
type numbers []byte

const exact = 1<<53 - 1

func newNumbers(room numbers) numbers { return append(room[:0], 0xdd, 0, 0, 0, 0) }

func (n *numbers) add(values ...int64) {
	for _, v := range values {
		v = min(max(v, 0), exact)
		if v < 128 {
			*n = append(*n, byte(v))
		} else {
			*n = binary.BigEndian.AppendUint64(append(*n, 0xcf), uint64(v))
		}
	}
	count := binary.BigEndian.Uint32((*n)[1:]) + uint32(len(values))
	binary.BigEndian.PutUint32((*n)[1:], count)
}

var errReply = errors.New("the script's reply is not an array of integers")

// decode reads an array of integers of any width.
func decode(s string) ([]int64, error) {
	count, s, err := header(s)
	if err != nil || count > len(s) { // every element has at least one byte
		return nil, errReply
	}
	out := make([]int64, count)
	for i := range out {
		if out[i], s, err = integer(s); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func header(s string) (count int, rest string, err error) {
	if len(s) == 0 {
		return 0, "", errReply
	}
	width := 0
	switch c := s[0]; {
	case c&0xf0 == 0x90:
		return int(c & 0x0f), s[1:], nil
	case c == 0xdc:
		width = 2
	case c == 0xdd:
		width = 4
	}
	if width == 0 || len(s) < 1+width {
		return 0, "", errReply
	}
	return int(bigEndian(s[1 : 1+width])), s[1+width:], nil
}

func integer(s string) (v int64, rest string, err error) {
	if len(s) == 0 {
		return 0, "", errReply
	}
	c := s[0]
	switch {
	case c < 0x80 || c >= 0xe0:
		return int64(int8(c)), s[1:], nil
	case c < 0xcc || c > 0xd3:
		return 0, "", errReply
	}
	width := 1 << (c & 3)
	if len(s) < 1+width {
		return 0, "", errReply
	}
	u := bigEndian(s[1 : 1+width])
	if c >= 0xd0 { // signed
		shift := 64 - 8*width
		return int64(u<<shift) >> shift, s[1+width:], nil
	}
	if u > exact {
		return 0, "", errReply
	}
	return int64(u), s[1+width:], nil
}

func bigEndian(s string) (u uint64) {
	for i := range len(s) {
		u = u<<8 | uint64(s[i])
	}
	return u
}
