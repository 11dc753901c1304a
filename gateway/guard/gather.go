package guard

import (
	"context"
	"slices"
	"unicode/utf8"

	"github.com/nantian-gw/nantian/ai/jsonscan"
	"github.com/nantian-gw/nantian/promptguard"
)

// maxQuestion is the most text of a body that one question to a webhook holds, in bytes.
const maxQuestion = 32 << 10

// gathering is the texts of one body, for webhooks: they get what is said in few questions and in order.
type gathering struct {
	joined []byte
	spans  []span
	role   string
}

// span is a text in joined, and the token in the body that it comes from.
type span struct {
	from, to   int // in the body
	start, end int // in joined
	role       string
	findings   []promptguard.Finding
}

// enter notes who speaks in an object.
func (g *gathering) enter(obj []byte) {
	if role := jsonscan.Text(jsonscan.Get(obj, "role")); words[role] {
		g.role = role
	}
}

func (g *gathering) add(from, to int, t []byte) {
	if len(g.joined) > 0 {
		g.joined = append(g.joined, '\n')
	}
	start := len(g.joined)
	g.joined = append(g.joined, t...)
	g.spans = append(g.spans, span{from: from, to: to, start: start, end: len(g.joined), role: g.role})
}

// speakers are who speaks where a body does not say.
var speakers = map[Side]string{Request: "user", Response: "assistant"}

// ask puts the texts of a body to the webhooks of a stage and does what they say. out is the body after the other rules, and
// then after these.
func (s *Session) ask(ctx context.Context, st *Stage, w *walker, root *place, out *[]byte) error {
	s.spare = append(s.spare[:0], *out...)
	exact, restore := w.exact, w.restore
	w.begin(ctx, s, st, s.spare)
	w.exact, w.restore = exact, restore
	w.gather = &gathering{role: speakers[st.side]}
	if err := w.run(root); err != nil {
		return err
	}
	g := w.gather
	for _, h := range st.hooks {
		if err := s.askAbout(ctx, st, h, g, false); err != nil {
			return err
		}
	}
	for i := range g.spans {
		p := &g.spans[i]
		if changed := s.masked(&w.masked, g.joined[p.start:p.end], p.findings); changed != nil {
			w.put(p.from, p.to, jsonscan.AppendQuoted(nil, changed))
		}
	}
	*out = w.result()
	return nil
}

// masked is a text with findings of webhooks replaced; nil: it stays.
func (s *Session) masked(room *[]byte, t []byte, fs []promptguard.Finding) []byte {
	slices.SortStableFunc(fs, promptguard.CompareFindings)
	for i := range fs {
		if fs[i].Action == promptguard.Mask || fs[i].Action == promptguard.Hash {
			*room = s.remember().Apply((*room)[:0], t, fs)
			return *room
		}
	}
	return nil
}

// askAbout asks one webhook about all texts, those of one speaker together. more says that the last goes on.
func (s *Session) askAbout(ctx context.Context, st *Stage, h *hook, g *gathering, more bool) error {
	for i := 0; i < len(g.spans); {
		first, last := i, i
		for last+1 < len(g.spans) && g.spans[last+1].role == g.spans[first].role && g.spans[last+1].end-g.spans[first].start <= maxQuestion {
			last++
		}
		from, to := g.spans[first].start, g.spans[last].end
		for from < to {
			cut := to
			if to-from > maxQuestion {
				cut = wholeRunes(g.joined, from+maxQuestion)
			}
			if err := s.question(ctx, st, h, g, from, cut, cut < to || more && last+1 == len(g.spans)); err != nil {
				return err
			}
			from = cut
		}
		i = last + 1
	}
	return nil
}

// wholeRunes moves an offset back to where a character begins.
func wholeRunes(b []byte, at int) int {
	for n := 0; n < utf8.UTFMax && at > 0 && !utf8.RuneStart(b[at]); n++ {
		at--
	}
	return at
}

func (s *Session) question(ctx context.Context, st *Stage, h *hook, g *gathering, from, to int, partial bool) error {
	role := ""
	for i := range g.spans {
		if g.spans[i].end > from {
			role = g.spans[i].role
			break
		}
	}
	v, err := h.inspect(ctx, promptguard.Text{Role: role, Part: "text", Content: g.joined[from:to], Partial: partial})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return unavailable(h)
	}
	s.note(st, v.Findings)
	switch {
	case h.Monitor:
		return nil
	case v.Action == promptguard.Block && s.Trace == nil:
		return blocked(st, v.Findings)
	}
	for _, f := range v.Findings {
		g.place(f, from)
	}
	return nil
}

// place gives a finding to the texts that it is in.
func (g *gathering) place(f promptguard.Finding, offset int) {
	start, end := f.Start+offset, f.End+offset
	for i := range g.spans {
		p := &g.spans[i]
		if p.start < end && p.end > start {
			own := f
			own.Start, own.End = max(start, p.start)-p.start, min(end, p.end)-p.start
			p.findings = append(p.findings, own)
		}
	}
}
