package promptguard

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// injectionFile has the phrases of prompt injection and jailbreaks, with their weights.
//
//go:embed injection.txt
var injectionFile string

// A phrase is words in a row. Between two of them, others may stand.
type phrase struct {
	terms []term
	words int // that it can have at most
}

// A term is one place of a phrase.
type term struct {
	forms    []string // in normal form
	stems    []string // what a word may begin with
	initials uint32   // the classes of what these begin with, as bits
	gap      int      // how many other words may come before it
	optional bool
}

const maxWords = 16

// parsePhrase reads a phrase: terms separated by spaces, each of alternatives separated by |, which end with * where more
// letters may follow; (…)? is a term that may be missing, ~2 says that up to two other words may come before the next term.
func parsePhrase(text string) (p phrase, first []string) {
	gap := 0
	for f := range strings.FieldsSeq(text) {
		if n, ok := strings.CutPrefix(f, "~"); ok {
			gap, _ = strconv.Atoi(n)
			continue
		}
		t := term{gap: gap}
		p.words += gap + 1
		gap = 0
		if inner, ok := strings.CutSuffix(f, ")?"); ok {
			t.optional, f = true, inner[1:]
		}
		for alt := range strings.SplitSeq(f, "|") {
			stem, ok := strings.CutSuffix(alt, "*")
			if len(p.terms) == 0 {
				first = append(first, stem)
			}
			if ok {
				t.stems = append(t.stems, normalWord(stem))
			} else {
				t.forms = append(t.forms, normalWord(stem))
			}
		}
		for _, w := range append(slices.Clone(t.forms), t.stems...) {
			t.initials |= 1 << fold(w[0])
		}
		p.terms = append(p.terms, t)
	}
	return p, p.cues(first)
}

// common words call a phrase only together with the word that follows.
var common = []string{"from", "what", "these", "this", "your", "have", "has", "with", "without", "never", "stay", "remain", "system", "previous", "prior", "above", "earlier", "ohne", "keine", "there", "turn", "talk", "text", "answer", "begin", "start", "enter"}

// cues are the literals that call a phrase, by what its first word begins with.
func (p *phrase) cues(first []string) []string {
	var all []string
	for _, word := range first {
		if next := &p.terms[1]; !slices.Contains(common, word) || next.gap > 0 || next.optional {
			all = append(all, word+strings.Repeat(" ", max(0, least-len(word))))
		} else {
			for _, w := range append(slices.Clone(next.forms), next.stems...) {
				all = append(all, word+" "+w)
			}
		}
	}
	return all
}

func normalWord(s string) string {
	var w word
	w.read(&view{b: []byte(s), end: true}, 0)
	return string(w.text())
}

func (t *term) is(w []byte) bool {
	if len(w) == 0 || t.initials>>fold(w[0])&1 == 0 {
		return false
	}
	for _, f := range t.forms {
		if string(w) == f {
			return true
		}
	}
	for _, s := range t.stems {
		if len(w) >= len(s) && string(w[:len(s)]) == s {
			return true
		}
	}
	return false
}

// negations before a phrase turn it around.
var negations = []string{"not", "don't", "dont", "never", "cannot", "can't", "doesn't", "didn't", "nicht", "nie", "pas", "jamais", "no", "nunca", "non", "mai", "não", "niet"}

// maxGap is how many bytes that are no part of a word may stand between two words.
const maxGap = 8

// match judges a word at an offset as the first of the phrase.
func (p *phrase) match(v *view, at int) match {
	if v.before(at, isAlnum) {
		return match{}
	}
	r := &v.work.reader
	if r.at != at || len(r.words) == 0 {
		*r = reader{v: v, at: at, next: at, words: v.work.words[:0]}
	}
	end, known := r.from(p, 0, 0)
	if !known {
		return v.undecided(at)
	}
	if end < 0 || v.said(at, 12, negations) {
		return match{}
	}
	return found(at, end)
}

// A reader reads the words of a text from an offset on, as far as they are asked for. Phrases that begin alike share it.
type reader struct {
	v     *view
	at    int
	next  int
	words []word
}

// word returns the nth word, or nil where the text has none so near.
func (r *reader) word(n int) (w *word, known bool) {
	for len(r.words) <= n {
		if len(r.words) == cap(r.words) {
			return nil, true
		}
		w := &r.words[:len(r.words)+1][len(r.words)]
		if near, known := r.read(w); !near {
			return nil, known
		}
		r.words = r.words[:len(r.words)+1]
		r.next = w.end
	}
	return &r.words[n], true
}

// read reads the next word.
func (r *reader) read(w *word) (near, known bool) {
	for i := r.next; i-r.next <= maxGap; i++ {
		if i == len(r.v.b) {
			return false, r.v.end
		}
		if !w.read(r.v, i) {
			return false, false
		}
		if w.n > 0 {
			return true, true
		}
	}
	return false, true
}

// from matches the terms from one on against the words from one on, and returns where the last of these ends, or -1.
func (r *reader) from(p *phrase, term, n int) (end int, known bool) {
	if term == len(p.terms) {
		return r.words[n-1].end, true
	}
	t := &p.terms[term]
	for skip := 0; skip <= t.gap; skip++ {
		w, known := r.word(n + skip)
		if !known {
			return 0, false
		}
		if w == nil {
			break
		}
		if !t.is(w.text()) {
			continue
		}
		if end, known := r.from(p, term+1, n+skip+1); !known || end >= 0 {
			return end, known
		}
	}
	if t.optional && term > 0 {
		return r.from(p, term+1, n)
	}
	return -1, true
}

// phraseDetectors makes a detector of each line of injectionFile that is of a group.
func phraseDetectors(group string) []detector {
	var dets []detector
	for line := range strings.Lines(injectionFile) {
		f := strings.SplitN(strings.TrimSpace(line), "\t", 4)
		if len(f) < 4 || f[0] != group {
			continue
		}
		weight, err := strconv.Atoi(f[1])
		if err != nil {
			panic("promptguard: injection.txt: " + err.Error())
		}
		if f[2] == "re" {
			dets = append(dets, expressionDetector(group, weight, f[3]))
		} else {
			dets = append(dets, wordsDetectors(group, weight, f[3])...)
		}
	}
	return dets
}

func expressionDetector(group string, weight int, expr string) detector {
	p, re, err := newProgram(expr, 0)
	if err != nil || leading(re) == nil {
		panic(fmt.Sprintf("promptguard: injection.txt: %s: %v", expr, err))
	}
	return detector{kind: group, label: "INJECTION", cue: cueLiteral, literals: leading(re), match: p.match, weight: weight, group: group}
}

// wordsDetectors makes two detectors of a phrase: one that a plain first word calls, one for a hidden one.
func wordsDetectors(group string, weight int, text string) []detector {
	p, first := parsePhrase(text)
	d := detector{kind: group, label: "INJECTION", cue: cueLiteral, literals: first, whole: true, match: p.match, weight: weight, group: group}
	hidden := d
	hidden.cue, hidden.literals, hidden.reach = cueOdd, nil, maxRaw
	hidden.match = func(v *view, start int) match {
		w := &v.work.first
		if w.start != start && !w.read(v, start) { // phrases that are asked in a row share it
			w.start = -1
			return v.undecided(start)
		}
		if !w.odd || !p.terms[0].is(w.text()) {
			return match{}
		}
		return p.match(v, start)
	}
	return []detector{d, hidden}
}

// hiddenStart returns where the word around a character begins.
func hiddenStart(v *view, at int) int {
	i := at
	for i > 0 && at-i < maxRaw && (is(v.b[i-1], isAlnum) || v.b[i-1] >= 0x80 || isLeet(v.b[i-1]) && v.b[i-1] != '!') {
		i--
	}
	return i
}

// Limits of texts in Base64 that are looked into.
const (
	minEncoded = 28
	maxEncoded = 2048
	maxBefore  = 64 // bytes before the first long run of letters and digits
)

// encodedDetector looks into runs of Base64 (RFC 4648) for phrases of a group. What is encoded was meant to be hidden: one
// good phrase is enough.
func encodedDetector(group string, inner *Set) detector {
	return detector{kind: group, label: "INJECTION", cue: cueRun, reach: maxBefore + 31, weight: defaultThreshold, group: group,
		match: func(v *view, at int) match {
			start := v.back(at, maxBefore, isBase64)
			end := v.run(start, maxEncoded, isBase64)
			if end == len(v.b) && !v.end && end-start < maxEncoded {
				return v.undecided(start)
			}
			if at-start == maxBefore || end-start < minEncoded {
				return match{}
			}
			text, ok := decode64(v.b[start:end])
			if !ok {
				return match{}
			}
			hit := false
			if err := inner.scanText(text, func(Finding) bool { hit = true; return false }); err != nil || !hit {
				return match{}
			}
			return found(start, end)
		}}
}

// decode64 decodes either alphabet, and says whether what comes out is text.
func decode64(b []byte) (text []byte, ok bool) {
	enc := base64.RawStdEncoding
	if bytes.ContainsAny(b, "-_") {
		enc = base64.RawURLEncoding
	}
	text = make([]byte, enc.DecodedLen(len(b)))
	n, err := enc.Decode(text, b[:len(b)/4*4])
	text = text[:n]
	for _, c := range text[:min(n, 64)] {
		if c < ' ' && !is(c, isSpace) || c == 0x7f {
			return nil, false
		}
	}
	return text, err == nil
}

// injectionDetectors are the phrases of a group, plain and encoded.
func injectionDetectors(group string) func(*Rule) []detector {
	return func(*Rule) []detector {
		dets := phraseDetectors(group)
		return append(dets, encodedDetector(group, newInner(dets)))
	}
}

// newInner makes a Set of detectors alone, for texts within a text.
func newInner(dets []detector) *Set {
	s := &Set{rules: []Rule{{Name: "encoded", Action: Audit, Threshold: defaultThreshold / 2}}}
	for _, d := range dets {
		s.detectors = append(s.detectors, d)
		s.owners = append(s.owners, []int{0})
	}
	s.index()
	return s
}
