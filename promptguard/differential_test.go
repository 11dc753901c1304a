package promptguard

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nantian-gw/nantian/internal/pattern"
)

// mixtures makes texts of what the corpus has for all detectors, cut and joined at random.
func mixtures(t testing.TB, n int) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/tune/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var words []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		words = append(words, strings.FieldsFunc(string(b), func(c rune) bool { return c == ' ' || c == '"' || c == '\\' })...)
	}
	r := rand.New(rand.NewPCG(3, 4))
	texts := make([]string, n)
	for i := range texts {
		var b strings.Builder
		for range 5 + r.IntN(60) {
			at := r.IntN(len(words))
			b.WriteString(strings.Join(words[at:min(len(words), at+1+r.IntN(4))], " "))
			b.WriteString([]string{" ", " ", "", ",", ".", "-", "\n", ":", "1", "é"}[r.IntN(10)])
		}
		texts[i] = b.String()
	}
	return texts
}

// scanAll returns the hits of a scan as text, detector by detector.
func scanAll(s *Set, text string) []hit {
	sc := &scan{set: s, own: make([]int, len(s.detectors))}
	sc.work.grant(len(text))
	sc.run(view{b: []byte(text), end: true}, 0, sc.own)
	return slices.Clone(sc.hits)
}

// Users' patterns find what package regexp finds.
func TestPatternsAreThoseOfRegexp(t *testing.T) {
	exprs := []string{`(?i)order-\d{3,9}`, `[a-z]+@[a-z]{2,9}\.com`, `\b\w{3,8}\b`, `password\s*[:=]\s*\S{1,20}`, `(?:DE|FR)\d{2}[ 0-9]{4,30}`, `\d+(?:\.\d+)?`, `(?i)ignore.{1,20}instructions?`,
		`x*y|ab?c`, `[^\x00-\x7F]{1,9}`, `a{2,3}?b*`, `(?m)^\w+`, `\w+$`, `(?s)the.{0,9}e`, `\Bing\b`, `(?i)страs{0,1}|[а-я]{3,9}`, `AKIA[A-Z2-7]{16}|ghp_\w{36}`, `(foo|food|fo)x?`, `é|e\x{301}?`, `(?i)kiss|straße`}
	for _, expr := range exprs {
		s, err := Compile([]Rule{{Name: "p", Patterns: []string{expr}, Action: Audit, MaxLength: pattern.MaxLength}})
		if err != nil {
			t.Fatal(err)
		}
		re := regexp.MustCompile(expr)
		for _, text := range append(mixtures(t, 60), "kiss KISS \u212Aiß straſſe STRASSE fooxfood", "\xff\xfe ab\xe9 é", "aaab aab abc") {
			if utf8.ValidString(text) || !strings.Contains(expr, `\x00`) {
				compareTexts(t, expr, text, scanAll(s, text), re.FindAllStringIndex(text, -1))
			}
		}
	}
}

func compareTexts(t *testing.T, name, text string, got []hit, want [][]int) {
	t.Helper()
	var g, w strings.Builder
	for _, h := range got {
		fmt.Fprintf(&g, "%q ", text[h.start:h.end])
	}
	for _, h := range want {
		fmt.Fprintf(&w, "%q ", text[h[0]:h[1]])
	}
	if g.String() != w.String() {
		t.Fatalf("%s in %q\n got %s\nwant %s", name, text, g.String(), w.String())
	}
}

// Vendors' secrets are found where package regexp finds their expression.
func TestSecretsAreThoseOfRegexp(t *testing.T) {
	texts := mixtures(t, 70)
	found := 0
	for line := range strings.Lines(secretFile) {
		name, expr, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok {
			continue
		}
		s := newInner([]detector{secretDetector(name, expr)})
		re := regexp.MustCompile(`\A(?:` + strings.TrimSpace(expr) + `)`)
		for _, text := range texts {
			var want [][]int
			for at := 0; at < len(text); at++ {
				m := re.FindStringIndex(text[at:min(len(text), at+pattern.MaxLength)])
				if m == nil || at > 0 && is(text[at-1], isAlnum) || at+m[1] < len(text) && is(text[at+m[1]], isAlnum) {
					continue
				}
				if check := secretChecks[name]; check == nil || check([]byte(text[at:at+m[1]])) {
					want = append(want, []int{at, at + m[1]})
					at += m[1] - 1
				}
			}
			found += len(want)
			compareTexts(t, name, text, scanAll(s, text), want)
		}
	}
	if found < 25 {
		t.Errorf("only %d secrets in the texts", found)
	}
}

// The prefilter misses nothing: asking a detector everywhere that its cue allows finds the same.
func TestCuesMissNothing(t *testing.T) {
	s, err := Compile([]Rule{{Name: "all", Builtin: Builtins(), Action: Audit}})
	if err != nil {
		t.Fatal(err)
	}
	counts := make([]int, len(s.detectors))
	for _, text := range mixtures(t, 120) {
		got := scanAll(s, text)
		for d := range s.detectors {
			var mine []hit
			for _, h := range got {
				if h.detector == d {
					mine = append(mine, h)
				}
			}
			want := everywhere(&s.detectors[d], text)
			counts[d] += len(want)
			compareTexts(t, s.detectors[d].kind, text, mine, want)
		}
	}
	n, all := 0, 0
	for d, c := range counts {
		if s.detectors[d].cue != cueOdd {
			all++
			n += min(c, 1)
		}
	}
	if n < all/4 {
		t.Errorf("only %d of %d detectors found something", n, all)
	}
}

func everywhere(d *detector, text string) (all [][]int) {
	v := view{b: []byte(text), end: true, work: &work{steps: 1 << 40, first: word{start: -1}}}
	for at := range len(text) {
		start := at
		switch r, size := utf8.DecodeRuneInString(text[at:]); d.cue {
		case cueDigits:
			if v.before(at, isDigit) || v.run(at, 2, isDigit) < at+2 {
				continue
			}
			if start = at - d.lead; start < 0 {
				continue
			}
		case cueRun:
			if v.before(at, isAlnum) || v.run(at, 23, isAlnum) < at+23 {
				continue
			}
		case cueOdd:
			if !utf8.RuneStart(text[at]) || text[at] < utf8.RuneSelf || !hides(&v, at, r, size) {
				continue
			}
			if start = hiddenStart(&v, at); at-start >= maxRaw {
				continue
			}
		case cueLiteral:
			if !slices.ContainsFunc(d.literals, func(l string) bool { return foldedPrefix(text[at:], l) }) {
				continue
			}
		default:
			if text[at] != signs[d.cue] {
				continue
			}
		}
		if m := d.match(&v, start); m.state == yes {
			all = append(all, []int{m.start, m.end})
		}
	}
	slices.SortFunc(all, func(a, b []int) int { return a[0] - b[0] })
	end := -1
	return slices.DeleteFunc(all, func(h []int) bool {
		if h[0] < end {
			return true
		}
		end = h[1]
		return false
	})
}

func foldedPrefix(text, l string) bool {
	if len(text) < len(l) {
		return false
	}
	for i := range len(l) {
		if fold(text[i]) != fold(l[i]) {
			return false
		}
	}
	return true
}
