package limit

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/ratelimit"
)

// Refusal is why a call may not be made.
type Refusal struct {
	// Status is 429, 503 where the store is away or the gateway shuts down, 401 or 403 where the caller has not proved who it is.
	Status int
	// Limit is "<ns>/<policy>/<limit>".
	Limit   string
	Message string
	// RetryAfter is when there will be room; 0: not known, or never.
	RetryAfter time.Duration
	// Never says that the call alone exceeds the limit, so that it is of no use to try again.
	Never bool
	// Wait says that the policy lets requests wait for room.
	Wait bool
	// Left says that the client left while it waited.
	Left bool
	// Shown is the state of the bucket that lacks room.
	Shown Shown

	limit *limit
	key   string
}

// refuse makes a refusal that says what is with the limit.
func (l *limit) refuse(status int, text string) *Refusal {
	return &Refusal{
		Status: status, Limit: l.id(), limit: l,
		Message: fmt.Sprintf("limit %q of %s %s: %s", l.name, l.policy.kind, l.policy.name, text),
	}
}

// full refuses for want of room.
func (l *limit) full(e *ratelimit.LimitedError) *Refusal {
	text := fmt.Sprintf("%s of %s per %s left, and this request needs about %s", l.write(e.Remaining), l.write(l.amount), l.window, l.write(e.Amount))
	if e.Never() {
		text = fmt.Sprintf("this request needs about %s, more than the %s per %s that there are", l.write(e.Amount), l.write(l.amount), l.window)
	} else if e.RetryAfter > 0 {
		text += fmt.Sprintf("; try again in %s", max(time.Second, e.RetryAfter.Round(time.Second)))
	}
	r := l.refuse(http.StatusTooManyRequests, text)
	r.RetryAfter, r.Never, r.key = e.RetryAfter, e.Never(), e.Bucket.Key
	r.Wait = l.policy.onLimit == xdsv1.TokenLimit_QUEUE && !r.Never
	r.Shown.add(l, ratelimit.State{Limit: l.amount, Remaining: e.Remaining, Reset: e.RetryAfter})
	return r
}

// write writes an amount for people.
func (l *limit) write(n int64) string {
	switch l.unit {
	case xdsv1.LimitUnit_COST:
		return ratelimit.FormatUSD(n) + " US dollars"
	case xdsv1.LimitUnit_REQUESTS:
		return plural(n, "request")
	case xdsv1.LimitUnit_INPUT_TOKENS:
		return plural(n, "input token")
	case xdsv1.LimitUnit_OUTPUT_TOKENS:
		return plural(n, "output token")
	}
	return plural(n, "token")
}

func plural(n int64, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// refusal makes one of a store's error.
func (ls *Lease) refusal(err error) *Refusal {
	if e, ok := errors.AsType[*ratelimit.LimitedError](err); ok {
		return ls.limitOf(e.Bucket.Key).full(e)
	}
	first := ls.charges[0].limit
	text := "its buckets cannot be counted now: too many calls are under way"
	if e, ok := errors.AsType[*ratelimit.UnavailableError](err); ok {
		first = ls.limitOf(e.Bucket.Key)
		text = "its store cannot be reached, and the policy fails closed"
	}
	r := first.refuse(http.StatusServiceUnavailable, text)
	r.RetryAfter = time.Second
	return r
}

func (ls *Lease) limitOf(key string) *limit {
	for i := range ls.charges {
		if ls.charges[i].key == key {
			return ls.charges[i].limit
		}
	}
	return ls.charges[0].limit
}

// Show tells in a response's head when to try again, and of how many requests none is left.
func (r *Refusal) Show(h *fasthttp.ResponseHeader) {
	if r.RetryAfter > 0 {
		h.Set("Retry-After", seconds(r.RetryAfter))
	}
	if s := &r.Shown.Requests; r.Shown.HasRequests() {
		h.Set("X-Ratelimit-Limit", strconv.FormatInt(s.Limit, 10))
		h.Set("X-Ratelimit-Remaining", strconv.FormatInt(max(0, s.Remaining), 10))
		h.Set("X-Ratelimit-Reset", seconds(s.Reset))
	}
}

// seconds are whole ones, and more rather than less.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// count counts a refusal.
func (r *Refusal) count(outcome string) *Refusal {
	if r.limit != nil {
		r.limit.meter.Refused(outcome)
	}
	return r
}

func (r *Refusal) outcome() string {
	switch {
	case r.Status == http.StatusTooManyRequests:
		return "limited"
	case r.Status == http.StatusServiceUnavailable:
		return "unavailable"
	}
	return "unidentified"
}

// Shown is what clients are told of their limits: of each family the bucket with the least left.
type Shown struct {
	Requests, Tokens, Input, Output ratelimit.State
	has                             [4]bool
}

// The families of Shown.
const (
	familyRequests = iota
	familyTokens
	familyInput
	familyOutput
)

func (s *Shown) of(family int) *ratelimit.State {
	return [...]*ratelimit.State{&s.Requests, &s.Tokens, &s.Input, &s.Output}[family]
}

func (s *Shown) add(l *limit, state ratelimit.State) {
	family := familyTokens
	switch l.unit {
	case xdsv1.LimitUnit_REQUESTS:
		family = familyRequests
	case xdsv1.LimitUnit_INPUT_TOKENS:
		family = familyInput
	case xdsv1.LimitUnit_OUTPUT_TOKENS:
		family = familyOutput
	case xdsv1.LimitUnit_COST:
		return // no client reads it
	}
	s.put(family, state)
}

func (s *Shown) put(family int, state ratelimit.State) {
	have := s.of(family)
	if !s.has[family] || state.Remaining < have.Remaining {
		*have, s.has[family] = state, true
	}
}

// Merge adds what another lease shows.
func (s *Shown) Merge(o *Shown) {
	for f := range s.has {
		if o.has[f] {
			s.put(f, *o.of(f))
		}
	}
}

// HasRequests, HasTokens, HasInput and HasOutput say which families there are.
func (s *Shown) HasRequests() bool { return s.has[familyRequests] }

// HasTokens says whether input and output together are limited.
func (s *Shown) HasTokens() bool { return s.has[familyTokens] }

// HasInput says whether input is limited.
func (s *Shown) HasInput() bool { return s.has[familyInput] }

// HasOutput says whether output is limited.
func (s *Shown) HasOutput() bool { return s.has[familyOutput] }

// AllTokens is the least of what is left of input, output and both.
func (s *Shown) AllTokens() (state ratelimit.State, has bool) {
	for _, f := range [...]int{familyTokens, familyInput, familyOutput} {
		if s.has[f] && (!has || s.of(f).Remaining < state.Remaining) {
			state, has = *s.of(f), true
		}
	}
	return state, has
}
