package ai_test

import (
	"testing"
	"time"

	"github.com/nantian-gw/nantian/ai"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f := func(name, value string, want time.Duration) {
		t.Helper()
		got := ai.RetryAfter(func(n string) string {
			if n == name {
				return value
			}
			return ""
		}, now)
		if got != want {
			t.Errorf("%s: %s is %v, want %v", name, value, got, want)
		}
	}
	f("Retry-After", "", 0)
	f("Retry-After", "7", 7*time.Second)
	f("Retry-After", "0.5", 500*time.Millisecond)
	f("Retry-After", "Fri, 02 Jan 2026 03:04:35 GMT", 30*time.Second)
	f("Retry-After", "Fri, 02 Jan 2026 03:00:00 GMT", 0)
	f("Retry-After", "-3", 0)
	f("Retry-After", "1e300", 24*time.Hour)
	f("Retry-After", "NaN", 0)
	f("Retry-After", "soon", 0)
	f("Retry-After-Ms", "1500", 1500*time.Millisecond)
}
