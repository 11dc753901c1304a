package promptguard

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// A Rule says what to look for and what to do about it. What it looks for adds up: built-in detectors, keywords, regular
// expressions and topics.
type Rule struct {
	Name     string
	Builtin  []string // names of Builtins
	Keywords []string // found as whole words, in any case of their letters
	Patterns []string // regular expressions of RE2's syntax
	Topics   []Topic
	Action   Action
	// HashKey is the secret of the action Hash: equal values have equal hashes under one key. Where it is empty, it is the
	// vault's.
	HashKey string
	// Restore says that what is masked returns in the answer.
	Restore bool
	// MaxLength is how much of a text an unbounded pattern sees from where a match starts, in bytes: 256 when 0, at most 8192.
	// A longer match is cut to it.
	MaxLength int
	// Threshold is the score from which PromptInjection and Jailbreak find something: 10 when 0.
	Threshold int
	// Regions are the countries (ISO 3166) whose national way to write phone numbers is known, beside the international
	// way: US when empty.
	Regions []string
}

// A RuleError says which part of which rule cannot be used.
type RuleError struct {
	Rule  string
	Field string // as "patterns[2]"
	Err   error
}

func (e *RuleError) Error() string { return fmt.Sprintf("rule %s: %s: %v", e.Rule, e.Field, e.Err) }
func (e *RuleError) Unwrap() error { return e.Err }

// A Set is rules that are applied together, in one pass. It may be used by many goroutines at once.
type Set struct {
	rules     []Rule
	detectors []detector
	owners    [][]int // by detector: the rules that want it
	byCue     [cues][]int
	byRun     [maxRun + 1][]runDetector
	filter    *prefilter
	patterns  *patternSet
	reach     int      // the longest of the detectors'
	spaced    []int    // detectors with a space before their cue
	prefixes  prefixes // of literals
	scans     sync.Pool
}

var _ Guard = (*Set)(nil)

// Compile makes rules into a Set. The error is a *RuleError.
func Compile(rules []Rule) (*Set, error) {
	s := &Set{rules: slices.Clone(rules)}
	b := builder{set: s, known: map[string]int{}}
	for i := range s.rules {
		if err := b.addRule(i); err != nil {
			return nil, err
		}
	}
	s.index()
	s.patterns = newPatternSet(s)
	return s, nil
}

// index sorts the detectors by what calls them.
func (s *Set) index() {
	for i, d := range s.detectors {
		s.byCue[d.cue] = append(s.byCue[d.cue], i)
		s.reach = max(s.reach, d.reach)
		if d.cue == cueDigits {
			s.reach = max(s.reach, maxRun+d.lead+len("(1-")+1)
		}
		for n := range s.byRun {
			if d.cue == cueDigits && (d.runs == 0 || d.runs>>n&1 == 1) {
				s.byRun[n] = append(s.byRun[n], runDetector{i, d.lead, d.then})
			}
		}
		if d.spaced {
			s.spaced = append(s.spaced, i)
		}
	}
	s.filter = newPrefilter(s.detectors)
	s.prefixes = newPrefixes(s.filter.literals)
	s.patterns = &patternSet{}
	s.scans.New = func() any { return &scan{set: s, own: make([]int, len(s.detectors))} }
}

// Inspect judges a whole text.
func (s *Set) Inspect(_ context.Context, t Text) (Verdict, error) {
	var v Verdict
	err := s.scanText(t.Content, func(f Finding) bool { v.add(f); return true })
	return v, err
}

func (s *Set) scanText(text []byte, each func(Finding) bool) error {
	sc := s.scans.Get().(*scan)
	defer s.release(sc)
	clear(sc.own)
	sc.work.grant(len(text))
	sc.run(view{b: text, end: true}, 0, sc.own)
	if sc.work.err != nil {
		return sc.work.err
	}
	if len(sc.hits) > 0 {
		var t tally
		t.findings(sc, each)
	}
	return nil
}

// release gives a scan back, without the text it looked at.
func (s *Set) release(sc *scan) {
	sc.v = view{}
	sc.ends = nil
	s.scans.Put(sc)
}

// Rules returns the names of the rules, in order.
func (s *Set) Rules() []string {
	names := make([]string, len(s.rules))
	for i, r := range s.rules {
		names[i] = r.Name
	}
	return names
}

// maxRun is the length of the longest run of digits that a detector asks for.
const maxRun = 20

// A runDetector is one for cueDigits, with what is needed to choose it.
type runDetector struct {
	detector, lead int
	then           byte
}

// A builder gathers the detectors of rules. Rules that want the same share it.
type builder struct {
	set   *Set
	known map[string]int // detectors by what they do
}

func (b *builder) addRule(i int) error {
	r := &b.set.rules[i]
	fail := func(field string, err error) error { return &RuleError{Rule: r.Name, Field: field, Err: err} }
	if r.Action < Audit || r.Action > Block {
		return fail("action", fmt.Errorf("%v is not one of Audit, Hash, Mask, Block", r.Action))
	}
	for n, name := range r.Builtin {
		dets, err := builtin(name, r)
		if err != nil {
			return fail(fmt.Sprintf("builtin[%d]", n), err)
		}
		b.add(i, dets)
	}
	return b.addOwn(i, r, fail)
}

// addOwn adds what the user wrote.
func (b *builder) addOwn(i int, r *Rule, fail func(string, error) error) error {
	for n, word := range r.Keywords {
		d, err := keyword(word)
		if err != nil {
			return fail(fmt.Sprintf("keywords[%d]", n), err)
		}
		b.add(i, []shared{{detector: d}})
	}
	for n, expr := range r.Patterns {
		d, err := expression(expr, r.MaxLength)
		if err != nil {
			return fail(fmt.Sprintf("patterns[%d]", n), err)
		}
		b.add(i, []shared{{detector: d}})
	}
	for n, t := range r.Topics {
		d, err := topic(t)
		if err != nil {
			return fail(fmt.Sprintf("topics[%d]", n), err)
		}
		b.add(i, d)
	}
	return nil
}

// shared is a detector and the name by which two rules want the same one; no name is shared with none.
type shared struct {
	detector
	key string
}

func (b *builder) add(rule int, dets []shared) {
	s := b.set
	for _, d := range dets {
		at, ok := b.known[d.key]
		if !ok || d.key == "" {
			at = len(s.detectors)
			s.detectors = append(s.detectors, d.detector)
			s.owners = append(s.owners, nil)
			b.known[d.key] = at
		}
		if !slices.Contains(s.owners[at], rule) {
			s.owners[at] = append(s.owners[at], rule)
		}
	}
}
