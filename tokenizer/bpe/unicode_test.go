package bpe

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "rewrite golden files")

// goClassOf is classOf by Go's own tables, which tiktoken-go uses: Unicode 15 in Go 1.26.
func goClassOf(r rune) class {
	var c class
	set := func(flags class, tables ...*unicode.RangeTable) {
		if unicode.In(r, tables...) {
			c |= flags
		}
	}
	set(letter|upper, unicode.Lu, unicode.Lt)
	set(letter|lower, unicode.Ll)
	set(letter|both, unicode.Lm, unicode.Lo)
	set(both, unicode.M)
	set(number, unicode.N)
	set(space, unicode.White_Space)
	if r == '\n' || r == '\r' {
		c |= newline
	}
	return c
}

// newer says whether Unicode 16 classes a code point otherwise than Go's tables do.
func newer(r rune) bool { return classOf(r) != goClassOf(r) }

// TestClasses compares all code points with Go's tables: what differs is what Unicode 15.1 and 16 added, and nothing else.
func TestClasses(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, "# Code points that Unicode 16 classes otherwise than Unicode %s.\n", unicode.Version)
	for first := rune(0); first <= utf8.MaxRune; first++ {
		if !newer(first) {
			continue
		}
		last := first
		for newer(last+1) && classOf(last+1) == classOf(first) {
			last++
		}
		fmt.Fprintf(&b, "%04X..%04X %s\n", first, last, classOf(first))
		first = last
	}
	golden(t, "testdata/unicode16.txt", b.String())
}

func (c class) String() string {
	var names []string
	for i, name := range []string{"letter", "upper", "lower", "number", "space", "newline"} {
		if c&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}
