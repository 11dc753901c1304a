package guard

import (
	"bytes"
	"context"

	"github.com/nantian-gw/nantian/ai/jsonscan"
	"github.com/nantian-gw/nantian/promptguard"
)

// part is one text of a stream. Its bytes go through the rules, then to the webhooks in segments, and then values are restored.
type part struct {
	stream *Stream
	id     string
	choice int
	// steps lead to the text within its choice or block, for a frame of its own; typ is the type of Anthropic's delta.
	steps []step
	typ   string
	json  bool

	main, watch pusher
	// Of webhooks: what was not asked about yet, and what restores values after them.
	pending  []byte
	restorer pusher
	out      []byte
}

// pusher is a promptguard.Stream or JSONStream.
type pusher interface {
	Push(ctx context.Context, delta []byte) ([]byte, promptguard.Verdict, error)
	Close(ctx context.Context) ([]byte, promptguard.Verdict, error)
}

func newPart(t *Stream, json bool) *part {
	k := &part{stream: t, json: json}
	set, monitor := t.stage.sets()
	asks := t.stage.Asks()
	if set != nil || t.restore && !asks {
		k.main = k.pusher(set, t.restore && !asks)
	}
	if monitor != nil {
		k.watch = k.pusher(monitor, false)
	}
	if asks && t.restore {
		k.restorer = k.pusher(nil, true)
	}
	return k
}

func (k *part) pusher(set *promptguard.Set, restore bool) pusher {
	if k.json {
		return promptguard.NewJSONStream(set, k.stream.session.remember(), restore)
	}
	return promptguard.NewStream(set, k.stream.session.remember(), restore)
}

// push takes a piece and returns what may go on, valid until the next call.
func (k *part) push(text []byte) ([]byte, error) {
	k.out = k.out[:0]
	if k.watch != nil {
		if _, v, err := k.watch.Push(k.stream.ctx, text); err == nil {
			k.stream.session.note(k.stream.stage, v.Findings)
		} else {
			k.watch = nil // what is only watched must not fail
		}
	}
	if k.main != nil {
		var err error
		if text, err = k.judged(k.main.Push(k.stream.ctx, text)); err != nil {
			return nil, err
		}
	}
	return k.further(text, false)
}

// end returns what was held back.
func (k *part) end() ([]byte, error) {
	k.out = k.out[:0]
	if k.watch != nil {
		if _, v, err := k.watch.Close(k.stream.ctx); err == nil {
			k.stream.session.note(k.stream.stage, v.Findings)
		}
	}
	var rest []byte
	if k.main != nil {
		var err error
		if rest, err = k.judged(k.main.Close(k.stream.ctx)); err != nil {
			return nil, err
		}
	}
	return k.further(rest, true)
}

func (k *part) judged(out []byte, v promptguard.Verdict, err error) ([]byte, error) {
	t := k.stream
	t.session.note(t.stage, v.Findings)
	switch {
	case v.Action == promptguard.Block:
		return nil, blocked(t.stage, v.Findings)
	case err != nil:
		return nil, failed(t.stage, err)
	}
	return out, nil
}

// Segments of a streamed text that webhooks are asked about, in bytes: at the end of a sentence from minSegment on, at maxSegment
// anywhere between words. Arguments of tools are asked about whole.
const (
	minSegment   = 160
	maxSegment   = 1 << 10
	maxArguments = 256 << 10
)

// further asks webhooks about what the rules let go, and restores values.
func (k *part) further(text []byte, end bool) ([]byte, error) {
	if !k.stream.stage.Asks() {
		return text, nil
	}
	k.pending = append(k.pending, text...)
	if k.json {
		if len(k.pending) > maxArguments {
			return nil, unscannable(k.stream.stage, "the arguments of a tool are longer than 256 KiB")
		}
		if !end {
			return nil, nil
		}
	}
	for len(k.pending) > 0 {
		n := len(k.pending)
		if !k.json {
			n = segment(k.pending, end)
		}
		if n == 0 {
			break
		}
		if err := k.ask(k.pending[:n], !end || n < len(k.pending)); err != nil {
			return nil, err
		}
		k.pending = append(k.pending[:0], k.pending[n:]...)
	}
	if end && k.restorer != nil {
		rest, _, err := k.restorer.Close(k.stream.ctx)
		k.out = append(k.out, rest...)
		return k.out, err
	}
	return k.out, nil
}

// segment is the length of what is to be asked about next; 0: more has to come.
func segment(b []byte, end bool) int {
	if end && len(b) <= maxSegment {
		return len(b)
	}
	for i := minSegment; i < min(len(b), maxSegment); i++ {
		if c := b[i-1]; (c == '.' || c == '!' || c == '?' || c == ':') && isSpace(b[i]) || b[i] == '\n' {
			return i + 1
		}
	}
	if len(b) < maxSegment {
		return 0
	}
	if i := bytes.LastIndexAny(b[minSegment:maxSegment], " \n\t"); i >= 0 {
		return minSegment + i + 1
	}
	return wholeRunes(b, maxSegment-1)
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// ask puts one segment to all webhooks, and lets go what they leave of it.
func (k *part) ask(seg []byte, partial bool) error {
	t := k.stream
	g := &gathering{role: "assistant"}
	w := &t.args
	if w.begin(t.ctx, t.session, t.stage, seg); k.json && jsonscan.Valid(seg) == nil {
		w.gather = g
		if err := w.run(free); err != nil {
			return err
		}
	} else {
		g.add(0, len(seg), seg)
	}
	for _, h := range t.stage.hooks {
		if err := t.session.askAbout(t.ctx, t.stage, h, g, partial); err != nil {
			return err
		}
	}
	for i := range g.spans {
		p := &g.spans[i]
		changed := t.session.masked(&w.masked, g.joined[p.start:p.end], p.findings)
		switch {
		case changed == nil:
		case w.gather != nil:
			w.put(p.from, p.to, jsonscan.AppendQuoted(nil, changed))
		default:
			w.put(p.from, p.to, changed)
		}
	}
	return k.release(w.result())
}

// release lets a text go, with values restored.
func (k *part) release(text []byte) error {
	if k.restorer != nil {
		var err error
		if text, _, err = k.restorer.Push(k.stream.ctx, text); err != nil {
			return err
		}
	}
	k.out = append(k.out, text...)
	return nil
}
