package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"time"

	"github.com/nantian-gw/nantian/ai/jsonscan"
	"github.com/nantian-gw/nantian/ai/sse"
)

// answer is what one request brought.
type answer struct {
	// first is when the first content came, last when the answer ended.
	first, last time.Time
	// gaps are the times between pieces of content after the first.
	gaps []time.Duration
	// input and output are in tokens; counted says that the endpoint did not tell and the output was counted here.
	input, output int
	counted       bool
}

// failure is a request that went wrong; class is short and the same for all of its kind.
type failure struct {
	class, message string
}

func (f *failure) Error() string { return f.class + ": " + f.message }

// maxAnswer bounds an answer that is read whole, in bytes.
const maxAnswer = 64 << 20

// call sends one request and reads its answer to the end.
func (r *Runner) call(ctx context.Context, prompt string) (*answer, error) {
	if r.job.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.job.Timeout)
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.job.URL, bytes.NewReader(r.body(prompt)))
	if err != nil {
		return nil, err
	}
	req.Header = r.job.Header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.job.Client.Do(req)
	if err != nil {
		return nil, transport(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, refused(resp)
	}
	if mime, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); mime == "text/event-stream" {
		return r.readStream(resp.Body)
	}
	return r.readWhole(resp.Body)
}

func (r *Runner) body(prompt string) []byte {
	b := jsonscan.AppendQuoted([]byte(`{"model":`), r.job.Model)
	b = jsonscan.AppendQuoted(append(b, `,"messages":[{"role":"user","content":`...), prompt)
	b = append(b, `}]`...)
	if r.job.MaxTokens > 0 {
		b = fmt.Appendf(b, `,"max_tokens":%d`, r.job.MaxTokens)
	}
	if r.job.Stream {
		b = append(b, `,"stream":true,"stream_options":{"include_usage":true}`...)
	}
	return append(b, '}')
}

// transport names what kept a request from being answered.
func transport(err error) *failure {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return &failure{"timeout", err.Error()}
	}
	return &failure{"connection", err.Error()}
}

// refused reads the error of an answer that is none.
func refused(resp *http.Response) *failure {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20)) // so that the connection can be used again
	return &failure{fmt.Sprintf("status %d", resp.StatusCode), message(text)}
}

func message(text []byte) string {
	if jsonscan.Valid(text) == nil {
		if m := jsonscan.Get(jsonscan.Get(text, "error"), "message"); m != nil {
			return jsonscan.Text(m)
		}
	}
	return string(bytes.TrimSpace(text))
}

func (r *Runner) readWhole(body io.Reader) (*answer, error) {
	text, err := io.ReadAll(io.LimitReader(body, maxAnswer))
	if err != nil {
		return nil, transport(err)
	}
	now := time.Now()
	a := &answer{first: now, last: now}
	if jsonscan.Valid(text) != nil {
		return nil, &failure{"not JSON", "the answer is not JSON"}
	}
	a.usage(jsonscan.Get(text, "usage"))
	if a.output == 0 {
		for choice := range jsonscan.Elems(jsonscan.Get(text, "choices")) {
			r.count(a, []byte(jsonscan.Text(jsonscan.Get(jsonscan.Get(choice, "message"), "content"))))
		}
	}
	return a, nil
}

func (r *Runner) count(a *answer, text []byte) {
	if r.job.Count != nil {
		a.output, a.counted = a.output+r.job.Count(text), true
	}
}

// usage takes what the endpoint tells of tokens; raw may be absent or null.
func (a *answer) usage(raw []byte) {
	if n, ok := jsonscan.Int(jsonscan.Get(raw, "prompt_tokens")); ok {
		a.input = int(n)
	}
	if n, ok := jsonscan.Int(jsonscan.Get(raw, "completion_tokens")); ok {
		a.output = int(n)
	}
}

// readStream reads events until [DONE]. A stream that ends without it, or with an error, has failed.
func (r *Runner) readStream(body io.Reader) (*answer, error) {
	a, s := &answer{}, sse.Scanner{}
	var text []byte
	for {
		f, err := s.Next(body)
		if err == io.EOF {
			return nil, &failure{"cut", "the stream ended without [DONE]"}
		}
		if err != nil {
			return nil, transport(err)
		}
		if string(f.Data) == "[DONE]" {
			break
		}
		if text, err = a.event(f.Data, text); err != nil {
			return nil, err
		}
	}
	a.last = time.Now()
	if a.first.IsZero() {
		return nil, &failure{"empty", "the stream had no content"}
	}
	if a.output == 0 {
		r.count(a, text)
	}
	return a, nil
}

// event takes one event: its content is appended to text, and its arrival noted.
func (a *answer) event(data, text []byte) ([]byte, error) {
	if jsonscan.Valid(data) != nil {
		return nil, &failure{"not JSON", "an event is not JSON"}
	}
	if e := jsonscan.Get(data, "error"); e != nil && !jsonscan.IsNull(e) {
		return nil, &failure{"error event", message(data)}
	}
	a.usage(jsonscan.Get(data, "usage"))
	before := len(text)
	for choice := range jsonscan.Elems(jsonscan.Get(data, "choices")) {
		delta := jsonscan.Get(choice, "delta")
		text = appendText(text, jsonscan.Get(delta, "reasoning_content"))
		text = appendText(text, jsonscan.Get(delta, "content"))
		for call := range jsonscan.Elems(jsonscan.Get(delta, "tool_calls")) {
			text = appendText(text, jsonscan.Get(jsonscan.Get(call, "function"), "arguments"))
		}
	}
	if len(text) > before {
		a.arrived(time.Now())
	}
	return text, nil
}

// appendText adds a text; anything else has none.
func appendText(text, raw []byte) []byte {
	if jsonscan.Kind(raw) != jsonscan.String {
		return text
	}
	return jsonscan.AppendText(text, raw)
}

func (a *answer) arrived(now time.Time) {
	if a.first.IsZero() {
		a.first = now
	} else {
		a.gaps = append(a.gaps, now.Sub(a.last))
	}
	a.last = now
}
