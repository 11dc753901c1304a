package ai

import (
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds what a provider can ask for.
const maxRetryAfter = 24 * time.Hour

// RetryAfter is how long a provider wants to be left alone, from the headers of its refusal; 0: it does not say. The first
// of these counts: retry-after-ms, Retry-After in seconds or as a date (RFC 9110, section 10.2.3), and the reset of those of
// its limits that have nothing left. header looks up a response header by name, in any case.
func RetryAfter(header func(name string) string, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(header("Retry-After-Ms"), 64); err == nil && ms > 0 {
		return bounded(ms, time.Millisecond)
	}
	if d := wait(header("Retry-After"), now); d > 0 {
		return d
	}
	longest := time.Duration(0)
	for _, l := range limits {
		if strings.TrimSpace(header(l.remaining)) == "0" {
			longest = max(longest, wait(header(l.reset), now))
		}
	}
	return longest
}

// limits are headers that vendors send with all answers, so that a reset says something only where nothing remains.
// OpenAI: https://platform.openai.com/docs/guides/rate-limits. Anthropic: https://docs.claude.com/en/api/rate-limits.
var limits = [...]struct{ remaining, reset string }{
	{"X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests"},
	{"X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens"},
	{"X-Ratelimit-Remaining", "X-Ratelimit-Reset"},
	{"Anthropic-Ratelimit-Requests-Remaining", "Anthropic-Ratelimit-Requests-Reset"},
	{"Anthropic-Ratelimit-Tokens-Remaining", "Anthropic-Ratelimit-Tokens-Reset"},
	{"Anthropic-Ratelimit-Input-Tokens-Remaining", "Anthropic-Ratelimit-Input-Tokens-Reset"},
	{"Anthropic-Ratelimit-Output-Tokens-Remaining", "Anthropic-Ratelimit-Output-Tokens-Reset"},
}

// wait reads a time to wait: seconds, seconds or milliseconds since 1970, a duration as OpenAI writes it ("6m0s", "20ms"), or
// a date.
func wait(s string, now time.Time) time.Duration {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		switch {
		case n >= 1e12:
			return bounded(n-float64(now.UnixMilli()), time.Millisecond)
		case n >= 1e9:
			return bounded(n-float64(now.Unix()), time.Second)
		}
		return bounded(n, time.Second)
	}
	if d, err := time.ParseDuration(s); err == nil {
		return bounded(d.Seconds(), time.Second)
	}
	for _, layout := range []string{"Mon, 02 Jan 2006 15:04:05 GMT", time.RFC850, time.ANSIC, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return bounded(t.Sub(now).Seconds(), time.Second)
		}
	}
	return 0
}

// bounded is n units, at least 0 and at most maxRetryAfter.
func bounded(n float64, unit time.Duration) time.Duration {
	if !(n > 0) {
		return 0
	}
	return time.Duration(min(n*float64(unit), float64(maxRetryAfter)))
}
