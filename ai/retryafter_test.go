package ai

import (
	"net/textproto"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f := func(want time.Duration, header ...string) {
		t.Helper()
		h := map[string]string{}
		for i := 0; i < len(header); i += 2 {
			h[textproto.CanonicalMIMEHeaderKey(header[i])] = header[i+1]
		}
		got := RetryAfter(func(name string) string { return h[textproto.CanonicalMIMEHeaderKey(name)] }, now)
		if got != want {
			t.Errorf("%v: got %v, want %v", header, got, want)
		}
	}
	f(0)
	f(20*time.Second, "retry-after", "20")
	f(500*time.Millisecond, "retry-after", "0.5")
	f(90*time.Second, "Retry-After", "Sun, 01 Mar 2026 12:01:30 GMT")
	f(0, "Retry-After", "Sun, 01 Mar 2026 11:00:00 GMT")
	f(1500*time.Millisecond, "retry-after-ms", "1500", "retry-after", "2")
	f(2*time.Second, "retry-after-ms", "soon", "retry-after", "2")
	f(24*time.Hour, "retry-after", "1e300")
	f(0, "retry-after", "-5")
	f(0, "retry-after", "NaN")
	f(0, "retry-after", "later")
	f(0, "x-ratelimit-remaining-tokens", "100", "x-ratelimit-reset-tokens", "6m0s")
	f(6*time.Minute, "x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "20ms",
		"x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens", "6m0s")
	f(time.Minute, "anthropic-ratelimit-input-tokens-remaining", "0", "anthropic-ratelimit-input-tokens-reset", "2026-03-01T12:01:00Z")
	f(time.Minute, "x-ratelimit-remaining", "0", "x-ratelimit-reset", "1772366460000")
}
