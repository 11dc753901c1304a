package promptguard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/nantian-gw/nantian/promptguard"
)

// jsonOutcome is all that can be seen of guarded JSON.
func jsonOutcome(s *promptguard.Set, chunks [][]byte, restore *promptguard.Vault) string {
	v := promptguard.NewVault([]byte("key"))
	if restore != nil {
		v = restore
	}
	st := promptguard.NewJSONStream(s, v, restore != nil)
	var out, notes bytes.Buffer
	see := func(b []byte, verdict promptguard.Verdict, err error) {
		out.Write(b)
		for _, f := range verdict.Findings {
			fmt.Fprintln(&notes, f)
		}
		if err != nil && !errors.Is(err, promptguard.ErrBlocked) {
			fmt.Fprintln(&notes, err)
		}
	}
	for _, c := range chunks {
		see(st.Push(context.Background(), c))
	}
	see(st.Close(context.Background()))
	return out.String() + "\n" + notes.String()
}

func TestJSONStream(t *testing.T) {
	s := mixed(t)
	f := func(in, want string) {
		t.Helper()
		for seed := range uint64(8) {
			v := promptguard.NewVault(nil)
			got := jsonOutcome(s, split([]byte(in), seed), v)
			got, _, _ = bytesCut(got)
			if got != want {
				t.Fatalf("%s\n got %s\nwant %s", in, got, want)
			}
		}
	}
	// What is masked and returns at once shows that masking and restoring agree; without restore, below, it stays masked.
	f(`{"to":"ann\u0040example.com","n":12}`, `{"to":"ann@example.com","n":12}`)
	f(`{"a":"tab\tquote\" \ud83d\ude00 \/"}`, `{"a":"tab\tquote\" 😀 /"}`)

	masked := func(in, want string) {
		t.Helper()
		for seed := range uint64(8) {
			if got, _, _ := bytesCut(jsonOutcome(s, split([]byte(in), seed), nil)); got != want {
				t.Fatalf("%s\n got %s\nwant %s", in, got, want)
			}
		}
	}
	masked(`{"to":"ann\u0040example.com","card":4111111111111111}`, `{"to":"[EMAIL_1]","card":"[CREDIT_CARD_1]"}`)
	masked(`{"ann@example.com":[1,-2.5e3,true,null]}`, `{"[EMAIL_1]":[1,-2.5e3,true,null]}`)
	masked(`{"x":"hello","y":"a forbidden\u0020fruit","z":"ann@example.com"}`, `{"x":"hello","y":"a `)
	masked(`"ann@example.com`, `"[EMAIL_1]`)
}

func bytesCut(s string) (string, string, bool) {
	a, b, ok := bytes.Cut([]byte(s), []byte("\n"))
	return string(a), string(b), ok
}

func TestJSONStreamRestoresEscaped(t *testing.T) {
	s := compile(t, promptguard.Rule{Name: "own", Patterns: []string{`say "\w+"`}, Action: promptguard.Mask, Restore: true})
	v := promptguard.NewVault(nil)
	mask(t, s, v, `he did say "yes" then`)
	in := `{"said":"[PATTERN_1] and [pattern 1]"}`
	for seed := range uint64(8) {
		st := promptguard.NewJSONStream(nil, v, true)
		var out []byte
		for _, c := range split([]byte(in), seed) {
			b, _, err := st.Push(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, b...)
		}
		if want := `{"said":"say \"yes\" and say \"yes\""}`; string(out) != want {
			t.Fatalf("got %s, want %s", out, want)
		}
	}
}

func FuzzJSONStream(f *testing.F) {
	s := mixed(f)
	for i, text := range samples {
		b, err := json.Marshal(map[string]any{"text": text, "n": 4111111111111111, "deep": []string{text}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint64(i))
	}
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		if len(text) > 4096 {
			return
		}
		want := jsonOutcome(s, [][]byte{text}, nil)
		for k := range uint64(3) {
			if got := jsonOutcome(s, split(text, seed+k), nil); got != want {
				t.Fatalf("%q in chunks\n got %s\nwant %s", text, got, want)
			}
		}
	})
}

func TestScannerSharesPlaceholders(t *testing.T) {
	s := compile(t, all(promptguard.Mask))
	sc := promptguard.NewScanner(s, promptguard.NewVault(nil))
	f := func(in, want string) {
		t.Helper()
		out, _, err := sc.Scan(t.Context(), promptguard.Text{Content: []byte(in)})
		if err != nil || string(out) != want {
			t.Errorf("%q: got %q, %v, want %q", in, out, err, want)
		}
	}
	f("from ann@example.com", "from [EMAIL_1]")
	f("nothing", "nothing")
	f("bob@example.com asks ann@example.com", "[EMAIL_2] asks [EMAIL_1]")
	if n := sc.Counts()[promptguard.Count{Rule: "all", Kind: "Email", Action: promptguard.Mask}]; n != 3 || sc.Action() != promptguard.Mask {
		t.Errorf("%v %v", sc.Counts(), sc.Action())
	}
}

// A stream of 200,000 tokens with every detector and pattern holds no more than what Stream promises.
func TestLongStreamIsBounded(t *testing.T) {
	set := mixed(t)
	v := promptguard.NewVault(nil)
	st := promptguard.NewStream(set, v, true)
	text := prose()
	var in, out, most int
	heap := func() uint64 { return heapInUse() }
	before := heap()
	tokens := 200_000
	if raceEnabled {
		tokens = 20_000
	}
	for i := range tokens {
		at := i * 4 % (len(text) - 4)
		b, _, err := st.Push(t.Context(), text[at:at+4])
		if err != nil {
			t.Fatal(err)
		}
		in, out = in+4, out+len(b)
		most = max(most, st.Held())
	}
	if after := heap(); after > before+64<<10 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	if most > 8<<10 || in-out > 8<<10 {
		t.Errorf("held %d bytes at most, %d at the end", most, in-out)
	}
	t.Logf("%d bytes, held %d at most", in, most)
}
