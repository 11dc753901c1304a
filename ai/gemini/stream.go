package gemini

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/internal/body"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// maxChoices bounds what the index of a candidate may be; Gemini gives at most 8.
const maxChoices = 128

// decoder reads the chunks of a stream, and a whole answer as one chunk of it.
type decoder struct {
	x       *ai.Exchange
	choices []choice
	// want is how many choices were asked for.
	want int
	// text holds what had to be unescaped of the present frame.
	text []byte
	// id prefixes the ids of calls that came without one.
	id      string
	started bool
	// signTexts says that the client asked for thoughts and so can do something with the signature of a text.
	signTexts bool
	// blocked is a stream that ends without candidates, because the prompt was refused.
	blocked bool
}

var (
	_ ai.StreamDecoder = (*decoder)(nil)
	_ ai.Lenient       = (*decoder)(nil)
)

// choice is how far a candidate has come.
type choice struct {
	seen, done bool
	// kind is of the open part, 0 before the first; part numbers it.
	kind  ai.PartKind
	part  int
	calls int
	// signed says that the open reasoning has got its signature, and ends with it.
	signed bool
}

// NewStream implements ai.Provider.
func (Provider) NewStream(x *ai.Exchange) ai.StreamDecoder { return newDecoder(x) }

func newDecoder(x *ai.Exchange) *decoder {
	d := &decoder{x: x, want: 1}
	if c, err := x.Chat(); err == nil {
		d.want = max(c.N, 1)
		d.signTexts = c.Reasoning != nil && !c.Reasoning.Off
	}
	return d
}

// Done implements ai.StreamDecoder. Gemini's streams have no terminator: they are complete when as many candidates as
// were asked for have a finishReason.
func (d *decoder) Done() bool { return d.blocked || d.ended() >= d.want }

// CompleteAtEOF implements ai.Lenient: Gemini may answer with fewer candidates than were asked for.
func (d *decoder) CompleteAtEOF() bool { return d.blocked || d.ended() > 0 }

// ended counts the candidates that ended, if none is still open.
func (d *decoder) ended() int {
	n := 0
	for i := range d.choices {
		switch c := &d.choices[i]; {
		case c.done:
			n++
		case c.seen:
			return 0
		}
	}
	return n
}

// Decode implements ai.StreamDecoder.
func (d *decoder) Decode(f ai.Frame, dst []ai.Event) ([]ai.Event, error) {
	if len(jsonscan.Trim(f.Data)) == 0 {
		return dst, nil
	}
	if err := jsonscan.Valid(f.Data); err != nil {
		return dst, fmt.Errorf("gemini: stream: %w", err)
	}
	data := jsonscan.Trim(f.Data)
	if jsonscan.Kind(data) != jsonscan.Object {
		return dst, fmt.Errorf("gemini: stream: expected an object, got %s", jsonscan.Kind(data))
	}
	d.text = d.text[:0]
	return d.chunk(data, dst)
}

var errIndex = errors.New("gemini: the index of a candidate is out of range")

// chunk reads a GenerateContentResponse (https://ai.google.dev/api/generate-content#generatecontentresponse).
func (d *decoder) chunk(data []byte, dst []ai.Event) ([]ai.Event, error) {
	var candidates, feedback, id, version, failure []byte
	for k, v := range jsonscan.Fields(data) {
		switch string(k) {
		case "candidates":
			candidates = v
		case "promptFeedback":
			feedback = v
		case "usageMetadata":
			readUsage(v, &d.x.Usage)
		case "responseId":
			id = v
		case "modelVersion":
			version = v
		case "error":
			failure = v
		}
	}
	if failure != nil {
		return append(dst, ai.Event{Kind: ai.EventError, Err: decodeError(0, noHeader, data)}), nil
	}
	if !d.started {
		d.started = true
		e := ai.Event{Kind: ai.EventStart, ID: d.view(id), Name: d.view(version)}
		d.id = callPrefix(e.ID, data)
		dst = append(dst, e)
	}
	n := len(dst)
	for raw := range jsonscan.Elems(candidates) {
		var err error
		if dst, err = d.candidate(raw, dst); err != nil {
			return dst, err
		}
	}
	if len(dst) == n && jsonscan.Get(feedback, "blockReason") != nil {
		d.blocked = true
		d.x.Finish = ai.FinishFilter
		dst = append(dst, ai.Event{Kind: ai.EventFinish, Finish: ai.FinishFilter})
	}
	return dst, nil
}

func (d *decoder) view(raw []byte) []byte { return jsonscan.View(raw, &d.text) }

// candidate reads one of the answers.
func (d *decoder) candidate(raw []byte, dst []ai.Event) ([]ai.Event, error) {
	var content, finish, message, logprobs []byte
	index := 0
	for k, v := range jsonscan.Fields(raw) {
		switch string(k) {
		case "content":
			content = v
		case "finishReason":
			finish = v
		case "finishMessage":
			message = v
		case "logprobsResult":
			logprobs = v
		case "index":
			n, ok := jsonscan.Int(v)
			if !ok || n < 0 || n >= maxChoices {
				return dst, errIndex
			}
			index = int(n)
		}
	}
	for len(d.choices) <= index {
		d.choices = append(d.choices, choice{})
	}
	c := &d.choices[index]
	c.seen = true
	for part := range jsonscan.Elems(jsonscan.Get(content, "parts")) {
		dst = d.part(c, index, part, dst)
	}
	if logprobs != nil {
		dst = d.logprobs(index, logprobs, dst)
	}
	if reason := d.view(finish); len(reason) > 0 && !c.done {
		c.done = true
		dst = append(dst, d.finish(c, index, string(reason), jsonscan.Text(message)))
	}
	return dst, nil
}

// part reads one part of the content.
func (d *decoder) part(c *choice, index int, raw []byte, dst []ai.Event) []ai.Event {
	var text, call, signature, media []byte
	thought := false
	for k, v := range jsonscan.Fields(raw) {
		switch string(k) {
		case "text":
			text = v
		case "thought":
			thought = jsonscan.IsTrue(v)
		case "functionCall":
			call = v
		case "thoughtSignature":
			signature = v
		case "inlineData", "fileData":
			media = v
		}
	}
	sig := d.view(signature)
	switch {
	case call != nil:
		if len(sig) > 0 {
			dst = d.signature(c, index, ai.GeminiCallSignature, sig, dst)
		}
		return d.call(c, index, call, dst)
	case media != nil:
		dst = d.media(c, index, media, thought, dst)
	}
	if t := d.view(text); len(t) > 0 {
		kind, event := ai.PartText, ai.EventText
		if thought {
			kind, event = ai.PartReasoning, ai.EventReasoning
		}
		c.begin(kind)
		dst = append(dst, ai.Event{Kind: event, Choice: index, Part: c.part, Text: t})
	}
	if len(sig) > 0 && (thought || d.signTexts) {
		dst = d.signature(c, index, ai.GeminiSignature, sig, dst)
	}
	return dst
}

// media reads an image that the model made (https://ai.google.dev/gemini-api/docs/image-generation). Drafts among its
// thoughts are not part of the answer. For sound and videos the clients' schemas have no form.
func (d *decoder) media(c *choice, index int, raw []byte, thought bool, dst []ai.Event) []ai.Event {
	mime, data := d.view(jsonscan.Get(raw, "mimeType")), d.view(jsonscan.Get(raw, "data"))
	switch {
	case thought:
		return dst
	case len(data) == 0 || !bytes.HasPrefix(mime, []byte("image/")):
		err := ai.Inexpressible("media of type " + string(mime))
		return append(dst, ai.Event{Kind: ai.EventError, Choice: index, Err: err})
	}
	c.begin(ai.PartImage)
	return append(dst, ai.Event{Kind: ai.EventImage, Choice: index, Part: c.part, Name: mime, Text: data})
}

// begin makes kind the open part. Every call and image is a part of its own, and so is reasoning after a signature.
func (c *choice) begin(kind ai.PartKind) {
	if c.kind == kind && kind != ai.PartToolCall && kind != ai.PartImage && !c.signed {
		return
	}
	if c.kind != 0 {
		c.part++
	}
	c.kind, c.signed = kind, false
}

// signature signs the reasoning that is open, or else an empty one.
func (d *decoder) signature(c *choice, index int, mark string, sig []byte, dst []ai.Event) []ai.Event {
	c.begin(ai.PartReasoning)
	n := len(d.text)
	d.text = append(append(d.text, mark...), sig...)
	c.signed = true
	return append(dst, ai.Event{Kind: ai.EventSignature, Choice: index, Part: c.part, Text: d.text[n:len(d.text):len(d.text)]})
}

// call reads a function call, which comes whole.
func (d *decoder) call(c *choice, index int, raw []byte, dst []ai.Event) []ai.Event {
	c.begin(ai.PartToolCall)
	id := d.view(jsonscan.Get(raw, "id"))
	if len(id) == 0 {
		id = d.callID(index, c.calls)
	}
	start := ai.Event{Kind: ai.EventToolStart, Choice: index, Part: c.part, Call: c.calls, ID: id,
		Name: d.view(jsonscan.Get(raw, "name"))}
	n := len(d.text)
	d.text = body.AppendCompact(d.text, jsonscan.Get(raw, "args"))
	c.calls++
	return append(dst, start, ai.Event{Kind: ai.EventToolDelta, Choice: index, Part: c.part, Call: start.Call,
		Text: d.text[n:len(d.text):len(d.text)]})
}

// callID makes an id that no other call of this conversation has, of characters and a length that all vendors take:
// OpenAI has 40, Anthropic letters, digits, _ and -.
func (d *decoder) callID(index, call int) []byte {
	n := len(d.text)
	d.text = append(d.text, d.id...)
	d.text = strconv.AppendInt(append(d.text, '_'), int64(index), 10)
	d.text = strconv.AppendInt(append(d.text, '_'), int64(call), 10)
	return d.text[n:len(d.text):len(d.text)]
}

// callPrefix is the response's id as far as it can stand in a call's, or else a hash of the first frame.
func callPrefix(id, frame []byte) string {
	b := []byte("call_")
	for _, c := range id {
		switch {
		case len(b) >= 30:
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-':
			b = append(b, c)
		default:
			b = append(b, '-')
		}
	}
	if len(id) == 0 {
		h := fnv.New64a()
		h.Write(frame) // never fails
		b = strconv.AppendUint(b, h.Sum64(), 16)
	}
	return string(b)
}
