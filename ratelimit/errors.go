package ratelimit

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrExpired says that a reservation has expired and what it took went back. Its use can still be settled.
	ErrExpired = errors.New("the reservation has expired")
	// ErrFull says that a limiter holds as many reservations as it may.
	ErrFull = errors.New("too many reservations at once")
	// ErrClosed says that a limiter was closed.
	ErrClosed = errors.New("the limiter is closed")
)

// A LimitedError says which bucket lacks room. If several do it is the one with the longest wait.
type LimitedError struct {
	Bucket    Bucket
	Amount    int64 // what was asked for
	Remaining int64 // what there was
	// RetryAfter is when there will be room if nothing more is used until then; 0 if Amount exceeds the limit, because
	// then no wait helps.
	RetryAfter time.Duration
}

func (e *LimitedError) Error() string {
	if e.Never() {
		return fmt.Sprintf("bucket %q: %d asked for, which exceeds its limit of %d per %s", e.Bucket.Key, e.Amount, e.Bucket.Limit, e.Bucket.Window)
	}
	return fmt.Sprintf("bucket %q: %d asked for, %d of %d per %s left; retry after %s",
		e.Bucket.Key, e.Amount, e.Remaining, e.Bucket.Limit, e.Bucket.Window, e.RetryAfter)
}

// Never says that the amount exceeds the limit, so that waiting is of no use.
func (e *LimitedError) Never() bool { return e.Amount > e.Bucket.Limit }

// An UnavailableError says that a bucket that fails closed could not be reached.
type UnavailableError struct {
	Bucket Bucket
	Err    error
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("bucket %q: its store is unavailable: %v", e.Bucket.Key, e.Err)
}

func (e *UnavailableError) Unwrap() error { return e.Err }
