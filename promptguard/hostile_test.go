package promptguard_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/promptguard"
)

// Texts that call a detector at every place, or hold everything back, take a bounded time, whole and in pieces.
func TestHostileTexts(t *testing.T) {
	own := promptguard.Rule{Name: "own", Patterns: []string{`foo[^x]*x`, `.*secret`, `\w+z`}, Action: promptguard.Mask}
	s := compile(t, all(promptguard.Mask), own)
	for _, unit := range []string{"+49 30 901820 ", "(415) 555-2671 ", "4111 ", "1.", "1:", "a@", "a.b@c.", "eyJhbGci", "ignore all ", "password=a1",
		"https://a:", "-----BEGIN PRIVATE KEY-----\n", "foo", "\u200b", "іgnore ", "aGVsbG8gd29ybGQgaGVsbG8gd29ybGQg ", "DE89", "z", "ghp_"} {
		size := 16 << 10
		if raceEnabled {
			size = 1 << 10 // a sixteenth, since each step takes some twenty times as long
		}
		text := []byte(strings.Repeat(unit, size/len(unit)))
		start := time.Now()
		if _, err := s.Inspect(t.Context(), promptguard.Text{Content: text}); err != nil {
			t.Errorf("%q: %v", unit, err)
		}
		st := promptguard.NewStream(s, promptguard.NewVault(nil), false)
		for len(text) > 0 {
			n := min(4, len(text))
			if _, _, err := st.Push(t.Context(), text[:n]); err != nil {
				t.Fatalf("%q in a stream: %v", unit, err)
			}
			if st.Held() > 9<<10 {
				t.Fatalf("%q: %d bytes held", unit, st.Held())
			}
			text = text[n:]
		}
		// Some 300 ms on a quiet machine at the most.
		if d := time.Since(start); d > 20*time.Second && !raceEnabled {
			t.Errorf("%q takes %v", unit, d)
		}
	}
}
