package ratelimit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/ratelimit"
)

func TestParseUSD(t *testing.T) {
	f := func(in string, want int64, back string) {
		t.Helper()
		got, err := ratelimit.ParseUSD(in)
		if err != nil || got != want {
			t.Errorf("%q: %d, %v, expected %d", in, got, err, want)
		}
		if s := ratelimit.FormatUSD(got); s != back {
			t.Errorf("%q is written as %q, expected %q", in, s, back)
		}
	}
	f("25.00", 25*ratelimit.USD, "25.00")
	f("0", 0, "0.00")
	f("0.1", 100_000_000, "0.10")
	f("0.000000001", 1, "0.000000001")
	f("007.5", 7_500_000_000, "7.50")
	f("4503599.627370496", ratelimit.MaxLimit, "4503599.627370496")

	bad := func(in string) {
		t.Helper()
		if got, err := ratelimit.ParseUSD(in); err == nil || !strings.Contains(err.Error(), "expected") {
			t.Errorf("%q: %d, %v", in, got, err)
		}
	}
	bad("")
	bad(".5")
	bad("5.")
	bad("-1")
	bad("1e3")
	bad("1,5")
	bad("0.0000000001")
	bad("4503599.627370497")
	bad("99999999999999999999")
	if s := ratelimit.FormatUSD(-1_500_000_000); s != "-1.50" {
		t.Error(s)
	}
}

func FuzzParseUSD(f *testing.F) {
	f.Add("25.00")
	f.Add("4503599.627370496")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ratelimit.ParseUSD(s)
		if err != nil {
			return
		}
		if n < 0 || n > ratelimit.MaxLimit {
			t.Errorf("%q is %d", s, n)
		}
		if again, err := ratelimit.ParseUSD(ratelimit.FormatUSD(n)); err != nil || again != n {
			t.Errorf("%q: %d, and then %d, %v", s, n, again, err)
		}
	})
}

func TestSlots(t *testing.T) {
	f := func(window, width time.Duration, count int) {
		t.Helper()
		w, n := ratelimit.Sliding(window).Slots()
		if w != width || n != count {
			t.Errorf("%s: %d slots of %s, expected %d of %s", window, n, w, count, width)
		}
		if covered := w * time.Duration(n-1); covered < window {
			t.Errorf("%s: %d slots of %s cover %s", window, n-1, w, covered)
		}
	}
	f(time.Second, 34*time.Millisecond, 31)
	f(time.Minute, 2*time.Second, 31)
	f(24*time.Hour, 48*time.Minute, 31)
	f(ratelimit.MaxWindow, 24*time.Hour+48*time.Minute, 31)
	f(1021*time.Millisecond, 35*time.Millisecond, 31)
	if w, n := ratelimit.Calendar(ratelimit.Day, nil).Slots(); w != 0 || n != 1 {
		t.Errorf("a calendar has %d slots of %s", n, w)
	}
}

func TestBounds(t *testing.T) {
	f := func(p ratelimit.Period, zone, at, start, end string) {
		t.Helper()
		place, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		s, e := ratelimit.Calendar(p, place).Bounds(now)
		if s.Format(time.RFC3339) != start || e.Format(time.RFC3339) != end {
			t.Errorf("%s of %s at %s: %s to %s, expected %s to %s", p, zone, at, s.Format(time.RFC3339), e.Format(time.RFC3339), start, end)
		}
	}
	f(ratelimit.Day, "UTC", "2026-03-28T12:00:00Z", "2026-03-28T00:00:00Z", "2026-03-29T00:00:00Z")
	f(ratelimit.Day, "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00")
	f(ratelimit.Week, "UTC", "2026-03-29T23:59:59Z", "2026-03-23T00:00:00Z", "2026-03-30T00:00:00Z")
	f(ratelimit.Week, "UTC", "2026-03-30T00:00:00Z", "2026-03-30T00:00:00Z", "2026-04-06T00:00:00Z")
	f(ratelimit.Month, "Asia/Shanghai", "2026-12-31T16:00:00Z", "2027-01-01T00:00:00+08:00", "2027-02-01T00:00:00+08:00")
	// Cairo skips the hour after midnight: that day begins an hour later.
	f(ratelimit.Day, "Africa/Cairo", "2026-04-24T10:00:00Z", "2026-04-24T01:00:00+03:00", "2026-04-25T00:00:00+03:00")
}

// Every moment belongs to one period, and the periods follow each other without a gap.
func FuzzBounds(f *testing.F) {
	f.Add(int64(1774699200), uint8(1), uint8(1))
	f.Fuzz(func(t *testing.T, at int64, period, zone uint8) {
		zones := []string{"UTC", "Europe/Berlin", "Africa/Cairo", "Pacific/Apia", "America/Sao_Paulo", "Asia/Shanghai", "Australia/Lord_Howe"}
		place, err := time.LoadLocation(zones[int(zone)%len(zones)])
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(at%(1<<33), 0)
		w := ratelimit.Calendar(ratelimit.Period(period%3)+1, place)
		start, end := w.Bounds(now)
		if now.Before(start) || !now.Before(end) {
			t.Fatalf("%s is not between %s and %s", now.In(place), start, end)
		}
		if next, _ := w.Bounds(end); !next.Equal(end) {
			t.Fatalf("after %s to %s the next period begins %s", start, end, next)
		}
	})
}

func TestErrors(t *testing.T) {
	b := ratelimit.Bucket{Key: "team", Limit: 10, Window: ratelimit.Sliding(time.Minute)}
	f := func(err error, want string) {
		t.Helper()
		if err.Error() != want {
			t.Errorf("got %q, expected %q", err, want)
		}
	}
	f(&ratelimit.LimitedError{Bucket: b, Amount: 3, Remaining: 1, RetryAfter: 4 * time.Second},
		`bucket "team": 3 asked for, 1 of 10 per 1m0s left; retry after 4s`)
	f(&ratelimit.LimitedError{Bucket: b, Amount: 11}, `bucket "team": 11 asked for, which exceeds its limit of 10 per 1m0s`)
	f(&ratelimit.UnavailableError{Bucket: b, Err: ratelimit.ErrClosed}, `bucket "team": its store is unavailable: the limiter is closed`)
}
