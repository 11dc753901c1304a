package guard

import (
	"bytes"
	"context"
	"slices"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// Stream guards the frames of a stream of the client's schema. Each text that comes in pieces (of a choice or block, and of each
// call of a tool) has a scanner of its own, which holds back what could still become a match and lets all else flow on at once. It
// belongs to one goroutine at a time.
//
// Its memory is bounded by what its scanners hold, below 64 KiB for each text that is open (promptguard.Stream), and by maxParts.
type Stream struct {
	session *Session
	stage   *Stage
	ctx     context.Context
	client  ai.Schema
	w, args walker
	restore bool

	parts map[string]*part
	order []*part
	key   []byte
	// choice and finishing are of the choice that is looked at.
	choice    int
	finishing bool
	finished  []int
	// envelope is what OpenAI's frames have around their choices.
	envelope []byte
	data     []byte
}

// maxParts bounds the texts that are open in one stream.
const maxParts = 1024

// Stream begins to guard the answer of one attempt; nil where there is nothing to guard.
func (s *Session) Stream(ctx context.Context, st *Stage, client ai.Schema) *Stream {
	if st == nil && !s.Restores() {
		return nil
	}
	return &Stream{session: s, stage: st, ctx: ctx, client: client, restore: s.Restores(), parts: map[string]*part{}}
}

// Push guards whole frames and appends those that may go on to dst. The error is a *Refusal, or that of the stream's context.
func (t *Stream) Push(dst, frames []byte) ([]byte, error) {
	for len(frames) > 0 {
		var f frame
		f, frames = t.cut(frames)
		var err error
		if dst, err = t.frame(dst, f); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// End appends what was held back of texts that nothing has ended.
func (t *Stream) End(dst []byte) ([]byte, error) {
	return t.closeParts(dst, func(*part) bool { return true })
}

// frame is one server-sent event.
type frame struct{ event, data []byte }

// cut takes the first event of frames (WHATWG HTML, section 9.2). Comments and other fields are left out: they mean nothing to
// clients of models.
func (t *Stream) cut(b []byte) (f frame, rest []byte) {
	t.data = t.data[:0]
	for len(b) > 0 {
		var line []byte
		line, b = cutLine(b)
		if len(line) == 0 {
			if len(t.data) > 0 || f.event != nil {
				break
			}
			continue
		}
		name, value, _ := bytes.Cut(line, []byte{':'})
		value = bytes.TrimPrefix(value, []byte{' '})
		switch string(name) {
		case "event":
			f.event = value
		case "data":
			if len(t.data) > 0 {
				t.data = append(t.data, ' ') // between the tokens of JSON a line break is a space
			}
			t.data = append(t.data, value...)
		}
	}
	f.data = t.data
	return f, b
}

// cutLine takes a line, which ends with CR, LF or both.
func cutLine(b []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(b, []byte{'\n'})
	i := bytes.IndexByte(line, '\r')
	switch {
	case i < 0:
		return line, rest
	case i == len(line)-1 && len(line) < len(b): // CR LF
		return line[:i], rest
	}
	return line[:i], b[i+1:]
}

var done = []byte("[DONE]")

func (t *Stream) frame(dst []byte, f frame) ([]byte, error) {
	if len(f.data) == 0 {
		return dst, nil
	}
	if bytes.Equal(f.data, done) {
		dst, err := t.End(dst)
		return append(append(append(dst, "data: "...), done...), "\n\n"...), err
	}
	if jsonscan.Valid(f.data) != nil {
		return dst, unscannable(t.stage, "the provider sent an event that is not JSON")
	}
	w := &t.w
	w.begin(t.ctx, t.session, t.stage, f.data)
	w.frames, w.restore = t, t.restore && !t.stage.Asks()
	t.finished, t.choice, t.finishing = t.finished[:0], 0, false
	if t.client == ai.Anthropic {
		n, _ := jsonscan.Int(jsonscan.Get(f.data, "index"))
		t.choice = int(n)
	}
	if err := w.run(schemas[t.client].frame); err != nil {
		return dst, err
	}
	out := w.result()
	dst, err := t.ending(dst, out)
	if err != nil {
		return dst, err
	}
	if len(f.event) > 0 && len(f.event) <= 64 && all(f.event, isEventName) {
		dst = append(append(append(dst, "event: "...), f.event...), '\n')
	}
	return append(append(append(dst, "data: "...), out...), "\n\n"...), nil
}

func isEventName(c byte) bool { return c >= 'a' && c <= 'z' || c == '_' || c == '.' }

// choose begins to look at a choice of OpenAI's.
func (t *Stream) choose(choice []byte) {
	n, _ := jsonscan.Int(jsonscan.Get(choice, "index"))
	t.choice = int(n)
	t.finishing = jsonscan.Kind(jsonscan.Get(choice, "finish_reason")) == jsonscan.String
	if t.finishing {
		t.finished = append(t.finished, t.choice)
	}
}

// ending appends what was held back of texts that end with a frame, before it.
func (t *Stream) ending(dst, data []byte) ([]byte, error) {
	if t.client != ai.Anthropic {
		t.keepEnvelope(data)
		if len(t.finished) == 0 {
			return dst, nil
		}
		return t.closeParts(dst, func(p *part) bool { return slices.Contains(t.finished, p.choice) })
	}
	switch typ := jsonscan.Get(data, "type"); {
	case jsonscan.Equal(typ, "content_block_stop"):
		return t.closeParts(dst, func(p *part) bool { return p.choice == t.choice })
	case jsonscan.Equal(typ, "message_stop"), jsonscan.Equal(typ, "message_delta"):
		return t.End(dst)
	}
	return dst, nil
}

// maxEnvelope bounds what is kept of a frame, in bytes.
const maxEnvelope = 1 << 10

func (t *Stream) keepEnvelope(data []byte) {
	if len(t.envelope) > 0 || len(jsonscan.Get(data, "id")) <= len(`""`) { // Azure's first frame is about the prompt, and has none
		return
	}
	e := append(t.envelope, '{')
	for _, key := range [...]string{"id", "object", "created", "model", "system_fingerprint"} {
		if v := jsonscan.Get(data, key); v != nil {
			e = append(jsonscan.AppendKey(e, key), v...)
		}
	}
	if len(e) > 1 && len(e) <= maxEnvelope {
		t.envelope = e
	}
}

// piece guards a piece of a text that comes in several, and writes what may go on in its place.
func (t *Stream) piece(w *walker, p *place, from int, text []byte) error {
	k, err := t.part(w, p)
	if err != nil {
		return err
	}
	out, err := k.push(text)
	if err == nil && t.finishing {
		w.decoded = append(w.decoded[:0], out...)
		if out, err = k.end(); err == nil {
			out = append(w.decoded, out...)
			w.decoded = out
		}
		t.drop(k)
	}
	if err != nil || bytes.Equal(out, text) {
		return err
	}
	w.quoted = jsonscan.AppendQuoted(w.quoted[:0], out)
	w.put(from, w.i, w.quoted)
	return nil
}

// part is the text that a place in a frame is a piece of.
func (t *Stream) part(w *walker, p *place) (*part, error) {
	steps := t.within(w.steps)
	t.key = appendIndex(t.key[:0], t.choice)
	for _, s := range steps {
		if s.key == nil {
			t.key = appendIndex(append(t.key, '/'), s.index)
		} else {
			t.key = append(append(t.key, '.'), s.key...)
		}
	}
	if k := t.parts[string(t.key)]; k != nil {
		return k, nil
	}
	if len(t.parts) >= maxParts {
		return nil, unscannable(t.stage, "it has too many texts at once")
	}
	k := newPart(t, p.kind == arguments)
	k.id, k.choice = string(t.key), t.choice
	for _, s := range steps {
		k.steps = append(k.steps, step{bytes.Clone(s.key), s.index})
	}
	if t.client == ai.Anthropic && len(w.steps) > 0 && string(w.steps[0].key) == "delta" {
		k.typ = jsonscan.Text(jsonscan.Get(jsonscan.Get(w.b, "delta"), "type"))
	}
	t.parts[k.id], t.order = k, append(t.order, k)
	return k, nil
}

// within is the way to a text within its choice or block.
func (t *Stream) within(steps []step) []step {
	if t.client == ai.Anthropic {
		return steps[1:] // delta or content_block
	}
	return steps[min(2, len(steps)-1):] // choices and the choice
}

func (t *Stream) drop(k *part) {
	delete(t.parts, k.id)
	t.order = slices.DeleteFunc(t.order, func(o *part) bool { return o == k })
}

// closeParts ends texts and appends what was held back of them, in frames of their own.
func (t *Stream) closeParts(dst []byte, which func(*part) bool) ([]byte, error) {
	for i := 0; i < len(t.order); {
		k := t.order[i]
		if !which(k) {
			i++
			continue
		}
		t.drop(k)
		rest, err := k.end()
		if err != nil {
			return dst, err
		}
		if len(rest) > 0 {
			dst = t.appendFrame(dst, k, rest)
		}
	}
	return dst, nil
}

// appendFrame appends a frame that the provider did not send, with the rest of a text.
func (t *Stream) appendFrame(dst []byte, k *part, rest []byte) []byte {
	if t.client == ai.Anthropic {
		field := string(k.steps[len(k.steps)-1].key)
		typ := k.typ
		if typ == "" {
			typ = map[string]string{"text": "text_delta", "thinking": "thinking_delta", "partial_json": "input_json_delta"}[field]
		}
		dst = append(dst, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":"...)
		dst = append(jsonscan.AppendInt(dst, k.choice), `,"delta":{"type":`...)
		dst = append(jsonscan.AppendQuoted(dst, typ), ',')
		dst = append(jsonscan.AppendQuoted(dst, field), ':')
		return append(jsonscan.AppendQuoted(dst, rest), "}}\n\n"...)
	}
	dst = append(dst, "data: "...)
	if len(t.envelope) > 0 {
		dst = append(append(dst, t.envelope...), ',')
	} else {
		dst = append(dst, '{')
	}
	dst = append(jsonscan.AppendInt(append(dst, `"choices":[{"index":`...), k.choice), ',')
	dst = appendSteps(dst, k.steps, rest)
	return append(dst, `,"finish_reason":null}]}`+"\n\n"...)
}

// appendSteps appends the member that steps lead to, with all that is around it.
func appendSteps(dst []byte, steps []step, text []byte) []byte {
	if len(steps) == 0 {
		return jsonscan.AppendQuoted(dst, text)
	}
	s, rest := steps[0], steps[1:]
	inObject := len(rest) > 0 && rest[0].key != nil
	if s.key != nil {
		dst = append(jsonscan.AppendQuoted(dst, s.key), ':')
		if inObject {
			return append(appendSteps(append(dst, '{'), rest, text), '}')
		}
		return appendSteps(dst, rest, text)
	}
	dst = append(dst, '[')
	if inObject {
		dst = append(jsonscan.AppendInt(append(dst, `{"index":`...), s.index), ',')
		return append(appendSteps(dst, rest, text), "}]"...)
	}
	return append(appendSteps(dst, rest, text), ']')
}

func appendIndex(dst []byte, n int) []byte { return jsonscan.AppendInt(append(dst, '#'), n) }
