package promptguard_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/promptguard"
)

// A labelled text of the corpus (testdata/generate.py): what the detector must find in it, or "*" for the text as a whole.
type labelled struct {
	Text string   `json:"text"`
	Want []string `json:"want"`
}

func readCorpus(t testing.TB, part, name string) []labelled {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", part, name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var all []labelled
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l labelled
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	if lines.Err() != nil || len(all) == 0 {
		t.Fatalf("%s: %d lines, %v", f.Name(), len(all), lines.Err())
	}
	return all
}

// A score counts right findings, wrong ones, and those that were missed.
type score struct{ positives, negatives, right, wrong, missed int }

func (s score) precision() float64 { return float64(s.right) / float64(max(1, s.right+s.wrong)) }
func (s score) recall() float64    { return float64(s.right) / float64(max(1, s.right+s.missed)) }

func (s *score) add(t testing.TB, set *promptguard.Set, l labelled, tell bool) {
	v, err := set.Inspect(context.Background(), promptguard.Text{Content: []byte(l.Text)})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range v.Findings {
		got = append(got, l.Text[f.Start:f.End])
	}
	if len(l.Want) == 1 && l.Want[0] == "*" && len(got) > 0 || len(l.Want) == 0 && len(got) > 0 && strings.Contains(v.Findings[0].Kind, "Inj") {
		got = []string{"*"}
	}
	if s.negatives++; len(l.Want) > 0 {
		s.negatives--
		s.positives++
	}
	for _, w := range l.Want {
		if i := slices.Index(got, w); i >= 0 {
			s.right++
			got = slices.Delete(got, i, i+1)
			continue
		}
		s.missed++
		if tell {
			t.Logf("missed %q in %q", w, l.Text)
		}
	}
	s.wrong += len(got)
	if tell && len(got) > 0 {
		t.Logf("wrongly %q in %q", got, l.Text)
	}
}

// TestReport holds every detector to its promise on the part of the corpus that is not looked at while tuning. With -v it
// prints precision and recall of both parts, and what went wrong in the other part.
func TestReport(t *testing.T) {
	var table strings.Builder
	table.WriteString(qualityIntroduction)
	for _, name := range promptguard.Builtins() {
		set := compile(t, promptguard.Rule{Name: name, Builtin: []string{name}, Action: promptguard.Mask})
		for _, part := range []string{"tune", "heldout"} {
			var s score
			for _, l := range readCorpus(t, part, name) {
				s.add(t, set, l, part == "tune")
			}
			if part == "heldout" {
				fmt.Fprintf(&table, "| %s | %d | %d | %.3f | %.3f |\n", name, s.positives, s.negatives, s.precision(), s.recall())
			}
			t.Logf("%-16s %-8s %4d positives %4d negatives  precision %.3f  recall %.3f", name, part, s.positives, s.negatives, s.precision(), s.recall())
			if part == "heldout" && (s.precision() < 0.95 || s.recall() < 0.90) {
				t.Errorf("%s: precision %.3f, recall %.3f on the held-out part; promised are 0.95 and 0.90", name, s.precision(), s.recall())
			}
		}
	}
	table.WriteString(othersIntroduction)
	for _, name := range []string{"PromptInjection", "Jailbreak"} {
		set := compile(t, promptguard.Rule{Name: name, Builtin: []string{name}, Action: promptguard.Mask})
		var s score
		for _, l := range readCorpus(t, "others", name) {
			s.add(t, set, l, false)
		}
		t.Logf("%-16s others   %4d positives %4d negatives  precision %.3f  recall %.3f", name, s.positives, s.negatives, s.precision(), s.recall())
		fmt.Fprintf(&table, "| %s | %d | %d | %.3f | %.3f |\n", name, s.positives, s.negatives, s.precision(), s.recall())
	}
	const page = "../docs/reference/prompt-guard-quality.md"
	if *update {
		if err := os.WriteFile(page, []byte(table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(page); err != nil || string(have) != table.String() {
		t.Errorf("%s is not what was measured (%v); run make guard-report", page, err)
	}
}

var update = flag.Bool("update", false, "write the page of the report")

const qualityIntroduction = `# How good the detectors are

Written by ` + "`make guard-report`" + `, which prints the same for the part of the corpus that detectors are tuned on. Measured on the part that is held
out (` + "`promptguard/testdata/heldout`" + `): labelled texts, and hard negatives that look alike. Precision is the share of findings that are right,
recall the share of what is there that is found. Detectors and most of the corpus have the same authors, so recall on attacks of others is
lower, above all for PromptInjection and Jailbreak: they are a net with holes, not a wall.

| detector | texts with | without | precision | recall |
|---|---|---|---|---|
`

const othersIntroduction = `
## Attacks by another author

Written by somebody who had not seen the phrases of the detectors (` + "`promptguard/testdata/others`" + `). When they were first measured, the recall of
PromptInjection was 0.39 and that of Jailbreak 0.53 (precision 1.00 and 0.80): what an attacker does who does not know the detectors is nearer to that than to the
table above. Some general phrases were added since, so that the figures below are no longer those of strangers.

| detector | texts with | without | precision | recall |
|---|---|---|---|---|
`

// TestCleanPrompts holds a guard that blocks everything it knows to fewer than one false Block in 200.
func TestCleanPrompts(t *testing.T) {
	set := compile(t, all(promptguard.Block))
	for _, part := range []string{"tune", "heldout"} {
		blocked, prompts := 0, readCorpus(t, part, "clean")
		for _, l := range prompts {
			v, err := set.Inspect(t.Context(), promptguard.Text{Content: []byte(l.Text)})
			if err != nil {
				t.Fatal(err)
			}
			if v.Action == promptguard.Block {
				blocked++
				if part == "tune" {
					t.Logf("%v in %q", v.Findings, l.Text)
				}
			}
		}
		t.Logf("%s: %d of %d clean prompts blocked", part, blocked, len(prompts))
		if float64(blocked) >= 0.005*float64(len(prompts)) && blocked > 0 {
			t.Errorf("%s: %d of %d clean prompts blocked", part, blocked, len(prompts))
		}
	}
}
