package upstream

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// dialect holds the answers of one protocol, ready to be written.
type dialect struct {
	path  string
	whole []byte
	// head is what precedes the first event of a stream, event one event, and tail what follows the last.
	head, tail []byte
	event      []byte
	// stamp is where in event the time of sending is written.
	stamp int
}

// StampLen is the length of a stamp: "@", nanoseconds since 1970, "#". Every event of a stream holds one in its text, so
// that who reads it knows how long it was under way.
const StampLen = 21

const placeholder = "@0000000000000000000#"

var dialects = []*dialect{openAI(), anthropic()}

func dialectOf(path string) *dialect {
	for _, d := range dialects {
		if d.path == path {
			return d
		}
	}
	return nil
}

const text = "A gateway stands between many callers and many models. It knows who may ask what, how much of it, and whom to ask " +
	"when the first does not answer; it counts what was used, and it should not be noticed by anybody."

func openAI() *dialect {
	const id = `{"id":"chatcmpl-benchmark","object":"chat.completion`
	const usage = `"usage":{"prompt_tokens":200,"completion_tokens":50,"total_tokens":250}}`
	chunk := func(choices, rest string) string {
		return "data: " + id + `.chunk","created":1750000000,"model":"benchmark","choices":[` + choices + "]" + rest + "}\n\n"
	}
	delta := func(delta, finish string) string {
		return chunk(`{"index":0,"delta":`+delta+`,"logprobs":null,"finish_reason":`+finish+`}`, "")
	}
	whole := id + `","created":1750000000,"model":"benchmark","choices":[{"index":0,"message":{"role":"assistant","content":"` + text +
		`"},"logprobs":null,"finish_reason":"stop"}],` + usage
	return newDialect("/v1/chat/completions", whole,
		[]string{delta(`{"role":"assistant","content":""}`, "null")},
		delta(`{"content":"`+placeholder+` word"}`, "null"),
		[]string{delta("{}", `"stop"`), chunk("", ","+strings.TrimSuffix(usage, "}")), "data: [DONE]\n\n"})
}

func anthropic() *dialect {
	event := func(kind, members string) string {
		return "event: " + kind + "\ndata: " + `{"type":"` + kind + `"` + members + "}\n\n"
	}
	const message = `{"id":"msg_benchmark","type":"message","role":"assistant","model":"benchmark","content":`
	whole := message + `[{"type":"text","text":"` + text + `"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":200,"output_tokens":50}}`
	return newDialect("/v1/messages", whole,
		[]string{
			event("message_start", `,"message":`+message+`[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":200,"output_tokens":1}}`),
			event("content_block_start", `,"index":0,"content_block":{"type":"text","text":""}`),
		},
		event("content_block_delta", `,"index":0,"delta":{"type":"text_delta","text":"`+placeholder+` word"}`),
		[]string{
			event("content_block_stop", `,"index":0`),
			event("message_delta", `,"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":50}`),
			event("message_stop", ""),
		})
}

func newDialect(path, whole string, before []string, event string, after []string) *dialect {
	d := &dialect{path: path, whole: appendWhole(nil, "application/json", []byte(whole)), event: chunk(event)}
	d.head = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n")
	for _, e := range before {
		d.head = append(d.head, chunk(e)...)
	}
	for _, e := range after {
		d.tail = append(d.tail, chunk(e)...)
	}
	d.tail = append(d.tail, "0\r\n\r\n"...)
	d.stamp = strings.Index(string(d.event), placeholder)
	return d
}

func chunk(s string) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n", len(s), s) }

// stream writes events, each with a write of its own as providers do; out is memory for them.
func (d *dialect) stream(w io.Writer, out []byte, p plan) ([]byte, error) {
	start := time.Now()
	out = append(out[:0], d.head...)
	for i := range p.events {
		if p.pace > 0 {
			time.Sleep(time.Until(start.Add(time.Duration(i) * p.pace)))
		}
		out = d.appendEvent(out, time.Now())
		if _, err := w.Write(out); err != nil {
			return out, err
		}
		out = out[:0]
	}
	_, err := w.Write(d.tail)
	return out, err
}

// appendEvent appends an event that was sent at t.
func (d *dialect) appendEvent(dst []byte, t time.Time) []byte {
	dst = append(dst, d.event...)
	stamp(dst[len(dst)-len(d.event)+d.stamp:], t)
	return dst
}

// stamp writes a time over the placeholder that b begins with.
func stamp(b []byte, t time.Time) {
	n := t.UnixNano()
	for i := StampLen - 2; i >= 1; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}
