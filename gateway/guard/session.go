package guard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/promptguard"
)

// found is how often a rule found something on one side of a call.
type found struct {
	*Rule
	side Side
	n    int
}

// A Place is where in a body something was found, for those who look at a single body: never what.
type Place struct {
	*Rule
	Kind string
	// Path is the string in the body, as "messages[0].content"; a name of a member ends in "(name)".
	Path string
	// Start and End are offsets in the string, in bytes, without its escapes.
	Start, End int
}

// Blocks says whether the request would be refused for it.
func (p *Place) Blocks() bool { return !p.Monitor && p.Action == promptguard.Block }

// Session guards one call. It is pooled and belongs to one goroutine at a time. What it remembers of masked values lives and dies
// with it.
type Session struct {
	compiler *Compiler
	vault    *promptguard.Vault
	found    []found
	// Trace is told of each place where something was found; nil: nobody. It must not keep what is around it.
	Trace func(Place)

	walkers []*walker // by depth of JSON in strings
	spare   []byte
	json    *promptguard.JSONStream
	of      *Stage // what json is for
}

var sessions = sync.Pool{New: func() any { return new(Session) }}

// Session begins to guard a call.
func (c *Compiler) Session() *Session {
	s := sessions.Get().(*Session)
	s.compiler = c
	return s
}

// maxKept is the largest buffer that is kept for other calls, in bytes.
const maxKept = 64 << 10

// Release ends a session: what was masked is forgotten.
func (s *Session) Release() {
	for _, w := range s.walkers {
		w.forget()
	}
	s.compiler, s.vault, s.Trace, s.json, s.of = nil, nil, nil, nil, nil
	clear(s.found)
	s.found = s.found[:0]
	if s.spare = s.spare[:0]; cap(s.spare) > maxKept {
		s.spare = nil
	}
	sessions.Put(s)
}

// Found lists what rules have found until now.
func (s *Session) Found() []exchange.Finding {
	var out []exchange.Finding
	for _, f := range s.found {
		out = append(out, exchange.Finding{
			Policy: f.Policy, Rule: f.Name, Action: f.Action.String(), Side: f.side.String(), Monitor: f.Monitor, N: f.n,
		})
	}
	return out
}

// Restores says whether answers of the call have placeholders that are to be replaced by what they stand for.
func (s *Session) Restores() bool { return s.vault != nil && s.vault.Restores() }

// remember is the vault of the call, made when it is needed.
func (s *Session) remember() *promptguard.Vault {
	if s.vault == nil {
		s.vault = promptguard.NewVault(s.compiler.processKey())
	}
	return s.vault
}

// note counts findings.
func (s *Session) note(st *Stage, fs []promptguard.Finding) {
	for i := range fs {
		r := st.rules[fs[i].Rule]
		if r == nil {
			continue
		}
		r.meter.Found(st.side, 1)
		s.count(r, st.side)
	}
}

func (s *Session) count(r *Rule, side Side) {
	for i := range s.found {
		if f := &s.found[i]; f.id == r.id && f.side == side {
			f.n++
			return
		}
	}
	s.found = append(s.found, found{r, side, 1})
}

// A Refusal is why a body must not go on. It never holds a part of it.
type Refusal struct {
	// Rule is the one that blocks or could not be asked; nil where the body cannot be looked at.
	Rule   *Rule
	Code   string
	Status int
	text   string
}

func (e *Refusal) Error() string { return e.text }

// Codes of refusals, stable for programs.
const (
	CodeBlocked     = "prompt_guard_blocked"
	CodeUnscannable = "prompt_guard_unscannable"
	CodeUnavailable = "prompt_guard_unavailable"
)

// Refused counts a refusal. Whoever acts on one calls it, once.
func (s *Session) Refused(r *Refusal, side Side) {
	s.compiler.observer().Refused(strings.TrimPrefix(r.Code, "prompt_guard_"), side)
}

// AI is the refusal as a client sees it. The code is in the text as well, for schemas that have no field for one.
func (e *Refusal) AI() *ai.Error {
	return &ai.Error{Status: e.Status, Code: e.Code, Message: e.text + " (" + e.Code + ")"}
}

func blocked(st *Stage, fs []promptguard.Finding) *Refusal {
	for i := range fs {
		if fs[i].Action == promptguard.Block {
			return BlockedBy(st.rules[fs[i].Rule], st.side)
		}
	}
	return &Refusal{Code: CodeBlocked, Status: http.StatusBadRequest, text: fmt.Sprintf("the %s was blocked by a prompt guard", st.side)}
}

func unscannable(st *Stage, why string) *Refusal {
	side := Response
	if st != nil {
		side = st.side
	}
	return &Refusal{Code: CodeUnscannable, Status: http.StatusBadRequest, text: fmt.Sprintf("the %s cannot be checked by the prompt guard: %s", side, why)}
}

// BlockedBy is the refusal of what a rule blocks.
func BlockedBy(r *Rule, side Side) *Refusal {
	return &Refusal{Rule: r, Code: CodeBlocked, Status: http.StatusBadRequest, text: fmt.Sprintf("the %s was blocked by the rule %q of a prompt guard", side, r.Name)}
}

// Unchangeable is the refusal of a request in which a rule would change what cannot be changed.
func Unchangeable(what string) *Refusal {
	return &Refusal{Code: CodeBlocked, Status: http.StatusBadRequest, text: "a prompt guard found something in " + what + ", which cannot be masked"}
}

// failed is the refusal of a text that could not be judged.
func failed(st *Stage, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if errors.Is(err, promptguard.ErrCostly) {
		return unscannable(st, "a text takes the patterns too long")
	}
	return unscannable(st, "it holds a number or a text that is too long")
}

func unavailable(h *hook) *Refusal {
	return &Refusal{Rule: h.Rule, Code: CodeUnavailable, Status: http.StatusServiceUnavailable,
		text: fmt.Sprintf("the service that the rule %q of a prompt guard asks gave no answer", h.Name)}
}

// scan judges one text and returns it as it may go on, valid until the next call.
func (w *walker) scan(t []byte) ([]byte, error) {
	s, st := w.session, w.stage
	if st != nil && st.monitor != nil {
		// What is only watched must not fail.
		if v, err := st.monitor.Inspect(w.ctx, promptguard.Text{Content: t}); err == nil && len(v.Findings) > 0 {
			s.note(st, v.Findings)
			w.trace(v.Findings)
		}
	}
	if st != nil && st.set != nil {
		v, err := st.set.Inspect(w.ctx, promptguard.Text{Content: t})
		if err != nil {
			return nil, failed(st, err)
		}
		if len(v.Findings) > 0 {
			s.note(st, v.Findings)
			w.trace(v.Findings)
			if t, err = w.apply(t, v); err != nil {
				return nil, err
			}
		}
	}
	if w.restore {
		if restored := s.vault.Restore(w.restored[:0], t); len(restored) != len(t) || string(restored) != string(t) {
			w.restored = restored
			return restored, nil
		}
	}
	return t, nil
}

// apply does what a verdict says. Where all is only traced, nothing is refused.
func (w *walker) apply(t []byte, v promptguard.Verdict) ([]byte, error) {
	switch {
	case v.Action == promptguard.Block && w.session.Trace == nil:
		return nil, blocked(w.stage, v.Findings)
	case v.Action < promptguard.Hash:
		return t, nil
	}
	w.masked = w.session.remember().Apply(w.masked[:0], t, v.Findings)
	return w.masked, nil
}
