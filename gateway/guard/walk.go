package guard

import (
	"bytes"
	"context"
	"strconv"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
	"github.com/nantian-gw/nantian/promptguard"
)

// Body guards a whole body of the client's schema, which must be valid (jsonscan.Valid). It returns the body itself where nothing
// is to be changed, else dst with the changed body. The error is a *Refusal, or that of ctx.
//
// A model that was chosen by its exact name is part of the configuration and not looked at; exact says so.
func (s *Session) Body(ctx context.Context, st *Stage, client ai.Schema, body, dst []byte, exact bool) ([]byte, error) {
	w := s.walker(0)
	w.begin(ctx, s, st, body)
	w.exact = exact
	root := schemas[client].request
	if st == nil || st.side == Response {
		root, w.restore = schemas[client].answer, s.Restores() && !st.Asks() // what is masked is not for webhooks
	}
	if err := w.run(root); err != nil {
		return nil, err
	}
	out := w.result()
	if st.Asks() && s.Trace == nil {
		if err := s.ask(ctx, st, w, root, &out); err != nil {
			return nil, err
		}
		if st.side == Response && s.Restores() {
			return s.Body(ctx, nil, client, bytes.Clone(out), dst, exact)
		}
	}
	if len(out) == len(body) && (len(out) == 0 || &out[0] == &body[0]) {
		return body, nil
	}
	return append(dst[:0], out...), nil
}

// Text guards a single text that is no part of a body: a header, a message of an error.
func (s *Session) Text(ctx context.Context, st *Stage, t []byte) ([]byte, error) {
	w := s.walker(0)
	w.begin(ctx, s, st, nil)
	w.restore = (st == nil || st.side == Response) && s.Restores()
	return w.scan(t)
}

// Said guards a text that a provider says outside of an answer, such as the message of an error; webhooks are asked too.
func (s *Session) Said(ctx context.Context, st *Stage, t []byte) ([]byte, error) {
	if !st.Asks() || s.Trace != nil {
		return s.Text(ctx, st, t)
	}
	w := s.walker(0)
	w.begin(ctx, s, st, nil)
	out, err := w.scan(t) // nothing is put back: what is masked is not for webhooks
	if err != nil {
		return nil, err
	}
	g := &gathering{role: speakers[st.side]}
	g.add(0, 0, out)
	for _, h := range st.hooks {
		if err := s.askAbout(ctx, st, h, g, false); err != nil {
			return nil, err
		}
	}
	out = g.joined
	if changed := s.masked(&w.masked, out, g.spans[0].findings); changed != nil {
		out = bytes.Clone(changed)
	}
	return s.Text(ctx, nil, out)
}

// walker walks over the strings of one JSON text and writes it anew where they change. It has one owner.
type walker struct {
	session *Session
	stage   *Stage
	ctx     context.Context
	depth   int
	// restore puts masked values back. exact exempts the model's name.
	restore, exact bool
	// frames is set while a frame of a stream is looked at.
	frames *Stream
	// gather is where texts are gathered for webhooks, in place of being scanned; nil: they are scanned.
	gather *gathering

	b, out  []byte
	i, done int
	changed bool
	steps   []step

	room, keyRoom, masked, restored, decoded, quoted []byte
}

// step is a member or an element on the way to a value.
type step struct {
	key   []byte
	index int // of an element, where key is nil
}

// maxDepth is how deep JSON may stand in strings of JSON.
const maxDepth = 8

func (s *Session) walker(depth int) *walker {
	for len(s.walkers) <= depth {
		s.walkers = append(s.walkers, &walker{depth: len(s.walkers)})
	}
	return s.walkers[depth]
}

func (w *walker) begin(ctx context.Context, s *Session, st *Stage, b []byte) {
	w.session, w.stage, w.ctx, w.b = s, st, ctx, b
	w.restore, w.exact, w.frames, w.gather = false, false, nil, nil
	w.i, w.done, w.changed, w.out, w.steps = 0, 0, false, w.out[:0], w.steps[:0]
}

// forget gives up what a walk has seen.
func (w *walker) forget() {
	keep := func(b []byte) []byte {
		if cap(b) > maxKept {
			return nil
		}
		return b[:0]
	}
	clear(w.steps[:cap(w.steps)])
	*w = walker{
		depth: w.depth, out: keep(w.out), steps: w.steps[:0], room: keep(w.room), keyRoom: keep(w.keyRoom), masked: keep(w.masked),
		restored: keep(w.restored), decoded: keep(w.decoded), quoted: keep(w.quoted),
	}
}

func (w *walker) run(root *place) error {
	w.space()
	return w.value(root)
}

// result is the text as it goes on.
func (w *walker) result() []byte {
	if !w.changed {
		return w.b
	}
	w.out = append(w.out, w.b[w.done:]...)
	return w.out
}

// put writes something else in place of b[from:to].
func (w *walker) put(from, to int, v []byte) {
	w.out = append(append(w.out, w.b[w.done:from]...), v...)
	w.done, w.changed = to, true
}

func (w *walker) space() {
	for w.i < len(w.b) && (w.b[w.i] == ' ' || w.b[w.i] == '\n' || w.b[w.i] == '\t' || w.b[w.i] == '\r') {
		w.i++
	}
}

func (w *walker) value(p *place) error {
	if w.i >= len(w.b) {
		return nil
	}
	if p.kind == probabilities && w.b[w.i] != 'n' && w.stage.Strict() && w.stage.side == Response {
		from := w.i
		w.skip()
		w.put(from, w.i, []byte("null"))
		return nil
	}
	switch c := w.b[w.i]; {
	case c == '{':
		return w.object(p)
	case c == '[':
		return w.array(p)
	case c == '"':
		from := w.i
		w.i = stringEnd(w.b, from)
		return w.str(p, from)
	case c == '-' || c >= '0' && c <= '9':
		return w.number(p)
	}
	w.literal()
	return nil
}

// literal passes over a number, true, false or null.
func (w *walker) literal() {
	for w.i < len(w.b) {
		switch w.b[w.i] {
		case ',', ']', '}', ' ', '\n', '\t', '\r':
			return
		}
		w.i++
	}
}

// skip passes over a whole value.
func (w *walker) skip() {
	depth := 0
	for w.i < len(w.b) {
		switch w.b[w.i] {
		case '{', '[':
			depth++
			w.i++
		case '}', ']':
			depth--
			w.i++
		case '"':
			w.i = stringEnd(w.b, w.i)
		case ',', ':', ' ', '\n', '\t', '\r':
			w.i++
		default:
			w.literal()
		}
		if depth <= 0 {
			return
		}
	}
}

// stringEnd is the offset after the string that begins at i.
func stringEnd(b []byte, i int) int {
	for i++; i < len(b); {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return len(b)
		}
		i += n + 1
		back := i - 2
		for back >= 0 && b[back] == '\\' {
			back--
		}
		if (i-2-back)%2 == 0 {
			return i
		}
	}
	return len(b)
}

func (w *walker) object(p *place) error {
	from := w.i
	w.i++
	if p.choice && w.frames != nil {
		w.frames.choose(w.b[from:])
	}
	if w.gather != nil {
		w.gather.enter(w.b[from:])
	}
	for {
		if w.space(); w.i >= len(w.b) || w.b[w.i] == '}' {
			w.i++
			return nil
		}
		if w.b[w.i] == ',' {
			w.i++
			continue
		}
		if err := w.memberAt(p, from); err != nil {
			return err
		}
	}
}

// memberAt looks at one member of the object at from.
func (w *walker) memberAt(p *place, from int) error {
	at := w.i
	w.i = stringEnd(w.b, at)
	raw := w.b[at:w.i]
	w.keyRoom = w.keyRoom[:0]
	key := jsonscan.View(raw, &w.keyRoom)
	child, known := p.member(key)
	if len(w.keyRoom) > 0 {
		key = bytes.Clone(key) // the room is used again below
	}
	w.steps = append(w.steps, step{key: key})
	if !known {
		if err := w.key(at, key); err != nil {
			return err
		}
	}
	w.space()
	w.i++ // the colon
	w.space()
	if child.kind == source {
		child = sourcePlace(w.b[from:])
	}
	err := w.value(child)
	w.steps = w.steps[:len(w.steps)-1]
	return err
}

// key looks at a name that nobody here knows.
func (w *walker) key(at int, key []byte) error {
	if len(key) == 0 {
		return nil
	}
	w.steps = append(w.steps, step{key: nameOf})
	err := w.replace(free, at, key)
	w.steps = w.steps[:len(w.steps)-1]
	return err
}

// nameOf marks the name of a member in a path.
var nameOf = []byte("(name)")

func (w *walker) array(p *place) error {
	w.i++
	elem := p.element()
	for n := 0; ; {
		if w.space(); w.i >= len(w.b) || w.b[w.i] == ']' {
			w.i++
			return nil
		}
		if w.b[w.i] == ',' {
			w.i++
			n++
			continue
		}
		w.steps = append(w.steps, step{index: w.ordinal(n)})
		err := w.value(elem)
		w.steps = w.steps[:len(w.steps)-1]
		if err != nil {
			return err
		}
	}
}

// ordinal is the number of an element: where frames of a stream bring pieces of it, the one that it has there.
func (w *walker) ordinal(n int) int {
	if w.frames != nil && w.b[w.i] == '{' {
		if own, ok := jsonscan.Int(jsonscan.Get(w.b[w.i:], "index")); ok && own >= 0 && own < 1<<20 {
			return int(own)
		}
	}
	return n
}

// Numbers of so many digits may be cards or accounts.
const (
	minDigits = 7
	maxDigits = 64
)

func (w *walker) number(p *place) error {
	from := w.i
	w.literal()
	raw := w.b[from:w.i]
	if p.kind == opaque || len(raw) < minDigits || len(raw) > maxDigits || !all(bytes.TrimPrefix(raw, []byte("-")), isDigit) {
		return nil
	}
	return w.replace(free, from, raw)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// str looks at the string from there to w.i.
func (w *walker) str(p *place, from int) error {
	if w.i-from <= 2 {
		return nil
	}
	w.room = w.room[:0]
	t := jsonscan.View(w.b[from:w.i], &w.room)
	if p.exempt(t) || p.kind == modelName && w.exact {
		return nil
	}
	if p.streamed && w.frames != nil {
		return w.frames.piece(w, p, from, t)
	}
	return w.replace(p, from, t)
}

// replace judges the text of the string or number from there to w.i, and writes it anew if it changes.
func (w *walker) replace(p *place, from int, t []byte) error {
	if w.gather != nil {
		w.gather.add(from, w.i, t)
		return nil
	}
	out, err := w.judge(p, t)
	if err != nil || len(out) == len(t) && (&out[0] == &t[0] || bytes.Equal(out, t)) {
		return err
	}
	w.quoted = jsonscan.AppendQuoted(w.quoted[:0], out)
	w.put(from, w.i, w.quoted)
	return nil
}

// judge looks at a text, which is not empty, and at what is within it: JSON, or a text in base64.
func (w *walker) judge(p *place, t []byte) ([]byte, error) {
	switch {
	case p.kind == dataURL:
		if head, data, ok := cutDataURL(t); ok {
			return w.file(head, data, t)
		}
	case p.kind == file:
		return w.file(nil, t, t)
	case p.kind == arguments && (w.stage == nil || w.stage.side == Response):
		return w.arguments(t)
	case looksLikeJSON(t) && jsonscan.Valid(t) == nil:
		inner, err := w.inner(t)
		if err != nil || p.kind == arguments {
			return inner, err
		}
		t = inner
	}
	return w.scan(t)
}

// looksLikeJSON says whether a text may be an object or an array.
func looksLikeJSON(t []byte) bool {
	t = jsonscan.Trim(t)
	return len(t) > 2 && (t[0] == '{' && t[len(t)-1] == '}' || t[0] == '[' && t[len(t)-1] == ']')
}

// inner looks at the strings of a JSON text within a string.
func (w *walker) inner(t []byte) ([]byte, error) {
	if w.depth >= maxDepth {
		if w.stage.Strict() {
			return nil, unscannable(w.stage, "JSON stands in strings of JSON more than 8 deep")
		}
		return t, nil
	}
	sub := w.session.walker(w.depth + 1)
	sub.begin(w.ctx, w.session, w.stage, t)
	sub.restore, sub.steps = w.restore, append(sub.steps[:0], w.steps...)
	if err := sub.run(free); err != nil {
		return nil, err
	}
	return sub.result(), nil
}

// arguments looks at the arguments of a tool in an answer, as a stream of them is looked at.
func (w *walker) arguments(t []byte) ([]byte, error) {
	s, st := w.session, w.stage
	set, monitor := st.sets()
	if monitor != nil {
		out := promptguard.NewJSONStream(monitor, nil, false)
		for _, step := range [2]func(context.Context) ([]byte, promptguard.Verdict, error){
			func(ctx context.Context) ([]byte, promptguard.Verdict, error) { return out.Push(ctx, t) }, out.Close,
		} {
			if _, v, err := step(w.ctx); err == nil {
				s.note(st, v.Findings)
				w.trace(v.Findings)
			}
		}
	}
	if set == nil && !w.restore {
		return t, nil
	}
	j := s.jsonStream(st, w.restore)
	out, err := w.pushed(j.Push(w.ctx, t))
	if err != nil {
		return nil, err
	}
	w.decoded = append(w.decoded[:0], out...)
	if out, err = w.pushed(j.Close(w.ctx)); err != nil {
		return nil, err
	}
	w.decoded = append(w.decoded, out...)
	return w.decoded, nil
}

func (w *walker) pushed(out []byte, v promptguard.Verdict, err error) ([]byte, error) {
	w.session.note(w.stage, v.Findings)
	w.trace(v.Findings)
	switch {
	case err != nil:
		return nil, failed(w.stage, err)
	case v.Action == promptguard.Block:
		return nil, blocked(w.stage, v.Findings)
	}
	return out, nil
}

// sets are those of a stage that may be nil.
func (s *Stage) sets() (set, monitor *promptguard.Set) {
	if s == nil {
		return nil, nil
	}
	return s.set, s.monitor
}

func (s *Session) jsonStream(st *Stage, restore bool) *promptguard.JSONStream {
	if s.json == nil || s.of != st {
		set, _ := st.sets()
		s.json, s.of = promptguard.NewJSONStream(set, s.remember(), restore), st
	} else {
		s.json.Reset()
	}
	return s.json
}

// trace tells of places, where somebody wants to know.
func (w *walker) trace(fs []promptguard.Finding) {
	if w.session.Trace == nil {
		return
	}
	path := w.path()
	for _, f := range fs {
		if r := w.stage.rules[f.Rule]; r != nil {
			w.session.Trace(Place{Rule: r, Kind: f.Kind, Path: path, Start: f.Start, End: f.End})
		}
	}
}

func (w *walker) path() string {
	var b []byte
	for _, s := range w.steps {
		switch {
		case s.key == nil:
			b = append(strconv.AppendInt(append(b, '['), int64(s.index), 10), ']')
		case len(b) > 0:
			b = append(append(b, '.'), s.key...)
		default:
			b = append(b, s.key...)
		}
	}
	return string(b)
}
