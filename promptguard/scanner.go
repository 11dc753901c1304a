package promptguard

import "context"

// A Scanner guards the texts of one body, one by one, with one vault: the same value has the same placeholder in all of
// them. One goroutine at a time may use it.
type Scanner struct {
	guard  Guard
	vault  *Vault
	action Action
	counts map[Count]int
	buf    []byte
}

// A Count is what findings are counted by.
type Count struct {
	Rule   string
	Kind   string
	Action Action
}

// NewScanner returns a Scanner that asks a guard: a Set, a webhook, a Chain.
func NewScanner(guard Guard, vault *Vault) *Scanner {
	return &Scanner{guard: guard, vault: vault, counts: map[Count]int{}}
}

// Scan judges a text and returns it as it may go on, which is the content itself where nothing is to be replaced, and is
// valid until the next call. A text whose verdict is Block, or that could not be judged, does not go on: out is nil.
func (s *Scanner) Scan(ctx context.Context, t Text) (out []byte, v Verdict, err error) {
	if v, err = s.guard.Inspect(ctx, t); err != nil {
		return nil, v, err
	}
	s.note(v)
	rewrite := false
	for _, f := range v.Findings {
		rewrite = rewrite || f.Action == Mask || f.Action == Hash
	}
	switch {
	case v.Action == Block:
		return nil, v, nil
	case !rewrite:
		return t.Content, v, nil
	}
	s.buf = s.vault.Apply(s.buf[:0], t.Content, v.Findings)
	return s.buf, v, nil
}

func (s *Scanner) note(v Verdict) {
	s.action = max(s.action, v.Action)
	for _, f := range v.Findings {
		s.counts[Count{f.Rule, f.Kind, f.Action}]++
	}
}

// Action is the strictest action of all texts.
func (s *Scanner) Action() Action { return s.action }

// Counts are the findings of all texts, for metrics and access logs: names and numbers, never values.
func (s *Scanner) Counts() map[Count]int { return s.counts }
