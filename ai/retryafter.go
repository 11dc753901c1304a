package ai

import (
	"strconv"
	"time"
)

// maxRetryAfter bounds what a provider may ask for, so that a mistaken header does not take it out for good.
const maxRetryAfter = 24 * time.Hour

// RetryAfter reads how long a provider asks to be left alone: retry-after-ms, or Retry-After in seconds or as a date
// (RFC 9110, section 10.2.3), which is compared with now. 0: it does not say, or not understandably.
func RetryAfter(header func(name string) string, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(header("Retry-After-Ms"), 64); err == nil {
		return ClampRetryAfter(ms / 1000)
	}
	v := header("Retry-After")
	if v == "" {
		return 0
	}
	if s, err := strconv.ParseFloat(v, 64); err == nil {
		return ClampRetryAfter(s)
	}
	for _, form := range [...]string{"Mon, 02 Jan 2006 15:04:05 GMT", time.RFC850, time.ANSIC} {
		if t, err := time.Parse(form, v); err == nil {
			return ClampRetryAfter(t.Sub(now).Seconds())
		}
	}
	return 0
}

// ClampRetryAfter makes a duration of seconds, between nothing and a day.
func ClampRetryAfter(seconds float64) time.Duration {
	switch {
	case seconds >= maxRetryAfter.Seconds():
		return maxRetryAfter
	case seconds > 0:
		return time.Duration(seconds * float64(time.Second))
	}
	return 0
}
