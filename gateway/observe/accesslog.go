package observe

import (
	"bytes"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

const (
	// flushAt writes the gathered lines when there are this many bytes, flushEvery at the latest after that time.
	flushAt    = 32 << 10
	flushEvery = 200 * time.Millisecond
	// maxPending bounds what is kept while the writer is slow; lines beyond it are dropped and counted.
	maxPending = 4 << 20
	// maxText bounds a text that a client has chosen.
	maxText = 1024
)

// AccessLog writes one JSON object a line for each request. Lines are gathered and written by one goroutine, so that a
// slow writer never holds up a request.
type AccessLog struct {
	w       io.Writer
	dropped func()

	mu      sync.Mutex
	pending []byte
	spare   []byte
	closed  bool
	wake    chan struct{}
	done    chan struct{}
}

// NewAccessLog starts a log to w; Close ends it. dropped is called for each line that was lost.
func NewAccessLog(w io.Writer, dropped func()) *AccessLog {
	l := &AccessLog{w: w, dropped: dropped, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go l.run()
	return l
}

func (l *AccessLog) run() {
	defer close(l.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-l.wake:
		}
		if l.flush() {
			return
		}
	}
}

// flush writes what is pending and says whether the log has been closed.
func (l *AccessLog) flush() (closed bool) {
	l.mu.Lock()
	b := l.pending
	l.pending, l.spare = l.spare[:0], nil
	closed = l.closed
	l.mu.Unlock()
	if len(b) > 0 {
		if _, err := l.w.Write(b); err != nil {
			for range bytes.Count(b, []byte{'\n'}) {
				l.dropped()
			}
		}
	}
	if cap(b) <= 2*flushAt {
		l.mu.Lock()
		l.spare = b[:0]
		l.mu.Unlock()
	}
	return closed
}

// Close writes what is pending.
func (l *AccessLog) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.poke()
	<-l.done
}

func (l *AccessLog) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// record adds the line of one exchange.
func (l *AccessLog) record(x *exchange.Exchange, status int, sent int64, took time.Duration) {
	l.add(func(b []byte) []byte { return appendLine(b, x, status, sent, took) })
}

// add adds what appendTo appends, which is one line.
func (l *AccessLog) add(appendTo func([]byte) []byte) {
	l.mu.Lock()
	if len(l.pending) > maxPending || l.closed {
		l.mu.Unlock()
		l.dropped()
		return
	}
	l.pending = appendTo(l.pending)
	full := len(l.pending) >= flushAt
	l.mu.Unlock()
	if full {
		l.poke()
	}
}

// line builds a JSON object member by member.
type line struct{ b []byte }

func appendLine(dst []byte, x *exchange.Exchange, status int, sent int64, took time.Duration) []byte {
	l := newLine(dst, x.Start)
	var room [64]byte
	l.bytes("client", x.Client.Addr().AppendTo(room[:0]))
	l.bytes("method", x.Req.Method())
	l.bytes("host", x.Req.Host())
	l.bytes("path", x.Path)
	l.text("protocol", protocol(x))
	l.int("status", int64(status))
	if x.RPC() {
		l.optional("grpc_status", string(x.GRPCStatus()))
	}
	l.millis("duration_ms", took)
	l.int("bytes_sent", sent)
	l.route(x)
	l.caller(x.Identity)
	l.authz(&x.Authz)
	l.model(x)
	l.optional("note", x.Note)
	return append(l.b, "}\n"...)
}

// newLine begins a line with its time, in milliseconds (RFC 3339).
func newLine(dst []byte, t time.Time) line {
	dst = append(append(dst, `{"time":"`...), secondOf(t)...)
	ms := t.Nanosecond() / 1e6
	return line{append(dst, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z', '"')}
}

// second is the text of the second that was asked for last: most lines are of the same one.
var second atomic.Pointer[secondText]

type secondText struct {
	unix int64
	text []byte
}

func secondOf(t time.Time) []byte {
	if s := second.Load(); s != nil && s.unix == t.Unix() {
		return s.text
	}
	s := &secondText{unix: t.Unix(), text: t.UTC().AppendFormat(nil, "2006-01-02T15:04:05")}
	second.Store(s)
	return s.text
}

func protocol(x *exchange.Exchange) string {
	switch {
	case x.Proto == 2:
		return "HTTP/2"
	case x.Minor == 0:
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}

func (l *line) route(x *exchange.Exchange) {
	if r := x.Route; r != nil {
		if kept, ok := r.Memo.Get().(*routeMeter); ok {
			l.b = append(l.b, kept.line...)
		} else {
			l.b = append(l.b, routeMembers(r)...)
		}
	}
	l.optional("backend", x.Backend)
}

// caller adds who called, where that was proved: never the credential.
func (l *line) caller(i *exchange.Identity) {
	if i == nil {
		return
	}
	l.optional("api_key", i.APIKey)
	l.optional("issuer", i.Issuer)
	l.optional("subject", i.Subject)
}

// authz adds what an authorization server said, and how long that took.
func (l *line) authz(a *exchange.Authorization) {
	if a.Result != "" {
		l.text("external_auth", a.Result)
		l.millis("external_auth_ms", a.Took)
	}
}

// model adds what is known of a model call; never its text.
func (l *line) model(x *exchange.Exchange) {
	if x.LLM == nil {
		return
	}
	m, u := &x.Model, &x.LLM.Usage
	l.text("operation", x.LLM.Op.String())
	l.optional("requested_model", m.Requested)
	l.optional("provider", m.Provider)
	l.optional("model", m.Model)
	l.int("attempts", int64(m.Attempts))
	l.flag("stream", m.Streamed)
	if u.Known || u.Estimated {
		l.int("input_tokens", int64(u.Input))
		l.int("cached_input_tokens", int64(u.CachedInput))
		l.int("cache_write_tokens", int64(u.CacheWrite))
		l.int("output_tokens", int64(u.Output))
		l.int("reasoning_tokens", int64(u.Reasoning))
		l.flag("usage_estimated", u.Estimated)
	}
	if m.Cost > 0 {
		l.name("cost_usd")
		l.b = appendUSD(l.b, m.Cost)
	}
	l.optional("limit", m.Limit)
	l.optional("limit_outcome", m.LimitOutcome)
	l.optional("finish", string(x.LLM.Finish))
	if m.FirstToken > 0 {
		l.millis("first_token_ms", m.FirstToken)
	}
	l.flag("aborted", m.Aborted)
	l.guard(m)
}

// guard adds what prompt guards have found: rules and numbers, never what it was.
func (l *line) guard(m *exchange.ModelInfo) {
	if m.Guard == nil {
		return
	}
	found := m.Guard.Found()
	if len(found) == 0 {
		return
	}
	l.name("guard")
	for i, f := range found {
		open := byte(',')
		if i == 0 {
			open = '['
		}
		l.b = appendQuoted(append(append(l.b, open), `{"policy":`...), f.Policy)
		l.text("rule", f.Rule)
		l.text("action", f.Action)
		l.text("side", f.Side)
		l.flag("monitor", f.Monitor)
		l.int("count", int64(f.N))
		l.b = append(l.b, '}')
	}
	l.b = append(l.b, ']')
}

func (l *line) name(name string) {
	l.b = append(l.b, `,"`...)
	l.b = append(l.b, name...)
	l.b = append(l.b, `":`...)
}

func (l *line) int(name string, v int64) {
	l.name(name)
	l.b = strconv.AppendInt(l.b, v, 10)
}

// millis writes a duration in milliseconds with up to three decimals.
func (l *line) millis(name string, d time.Duration) {
	l.name(name)
	us := max(d.Microseconds(), 0)
	l.b = strconv.AppendInt(l.b, us/1000, 10)
	if us %= 1000; us == 0 {
		return
	}
	l.b = append(l.b, '.', byte('0'+us/100), byte('0'+us/10%10), byte('0'+us%10))
	for l.b[len(l.b)-1] == '0' {
		l.b = l.b[:len(l.b)-1]
	}
}

// appendUSD writes billionths of a dollar in dollars, without rounding.
func appendUSD(dst []byte, n int64) []byte {
	const one = 1_000_000_000
	dst = append(strconv.AppendInt(dst, n/one, 10), '.')
	return append(dst, strconv.FormatInt(one+n%one, 10)[1:]...)
}

func (l *line) flag(name string, v bool) {
	if v {
		l.name(name)
		l.b = append(l.b, "true"...)
	}
}

func (l *line) optional(name, v string) {
	if v != "" {
		l.text(name, v)
	}
}

func (l *line) text(name, v string) {
	l.name(name)
	l.b = appendQuoted(l.b, v)
}

func (l *line) bytes(name string, v []byte) {
	l.name(name)
	l.b = appendQuoted(l.b, v)
}

// appendQuoted writes a JSON string; what is not UTF-8 or a control character is escaped, what is too long is cut.
func appendQuoted[T string | []byte](dst []byte, s T) []byte {
	if len(s) > maxText {
		s = s[:maxText]
	}
	dst = append(dst, '"')
	clean := 0 // up to here all is in dst
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			dst = appendEscaped(append(dst, s[clean:i]...), c)
			clean = i + 1
		}
	}
	return append(append(dst, s[clean:]...), '"')
}

func appendEscaped(dst []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch {
	case c == '"' || c == '\\':
		return append(dst, '\\', c)
	case c < 0x20 || c == 0x7f:
		return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
	}
	return utf8.AppendRune(dst, rune(c)) // as Latin-1: paths and hosts are ASCII already
}
