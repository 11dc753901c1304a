// Package ratelimit limits what callers use: an estimate is reserved in every bucket that applies before a call, all or
// none, and the truth is settled after it.
//
// It owns the words: Bucket, Window, Charge, Grant and the Limiter that the stores implement. Package memory limits within
// one process, package redis across many. Keys are opaque strings and amounts are integers in a bucket's own unit
// (requests, tokens, or 1e-9 US dollars for cost), so it must not import what knows requests (ai, gateway), tokenizer or
// promptguard.
//
// # The sliding window
//
// A sliding window is kept as a ring of up to 31 slots, each a thirtieth of the window wide; a charge is added to the slot
// of its moment, and a slot is dropped as a whole once all of it is older than the window. So a charge weighs for at least
// one window and at most a thirtieth longer. The worst error is on the side of refusing: in no window of that length is
// more than the limit granted, and a caller that always takes what it gets is granted at least 30/31 (96.7 %) of the limit
// per window. Known alternatives err the other way: a token bucket (GCRA) and the two weighted counters both grant up to
// twice the limit within one window, and a log of every request is exact but grows with the limit.
//
// A reservation weighs from the moment of Reserve. Settling below the estimate takes the difference out of the slot that
// was charged, unless that has left the window; settling above it charges the difference at the moment of Settle.
//
// # Calendar windows
//
// A calendar window is one counter per day, week or month of a time zone: what is reserved and settled belongs to the
// period in which it happens, and the next period starts at nothing.
package ratelimit

import (
	"context"
	"time"
)

const (
	// MaxLimit bounds Bucket.Limit. Sums stay below 2^53, where every integer is exact in a double, which is what Lua has.
	// In 1e-9 US dollars it is 4.5 million dollars.
	MaxLimit = 1 << 52
	// MaxAmount bounds one charge and what it settles to.
	MaxAmount = 1 << 52
	// MaxUsed is where a bucket's sum stops growing.
	MaxUsed = 1<<53 - 1
	// MaxCharges bounds the buckets of one reservation.
	MaxCharges = 32
	// MaxKey bounds a bucket's key in bytes.
	MaxKey = 1024
	// MaxID bounds a reservation's id in bytes.
	MaxID = 256
)

// A Limiter keeps buckets. It may be used by many goroutines at once.
type Limiter interface {
	// Reserve takes every charge from its bucket, or none of them. It returns a *LimitedError if a bucket lacks room, an
	// *UnavailableError if a bucket that fails closed cannot be reached, and ctx's error if that ends first; then nothing
	// stays taken. A second Reserve with the id of a reservation that runs returns that one and takes nothing.
	Reserve(ctx context.Context, id ID, charges []Charge) (Grant, error)
	// Extend keeps a reservation for another time to live. Without it a reservation expires, and what it took goes back.
	// It returns ErrExpired if that has happened.
	Extend(ctx context.Context, g Grant) error
	// Settle replaces what was reserved by what was used, one amount per charge in their order. It never refuses: what
	// was used was used. A second Settle or Release of one grant changes nothing; one that comes after the reservation
	// expired, up to an hour later, charges all that was used.
	Settle(ctx context.Context, g Grant, actual []int64) error
	// Release gives all that was reserved back.
	Release(ctx context.Context, g Grant) error
	// Peek returns the buckets' states in their order and takes nothing.
	Peek(ctx context.Context, b []Bucket) ([]State, error)
}

// An ID names one reservation. Whoever reserves chooses it, and never uses it for another.
type ID string

// A Bucket says how much may be used within a window. Buckets with equal Key and Window are one and the same; the limit is
// that of the call, so that it may change while the bucket lives.
type Bucket struct {
	Key    string
	Limit  int64 // in the bucket's own unit; 0 to MaxLimit
	Window Window
	// Failure says what holds while the store cannot be reached. A limiter without a store ignores it.
	Failure FailureMode
}

// A FailureMode says what becomes of reservations while the store cannot be reached.
type FailureMode uint8

const (
	// Open lets each replica enforce its share of the limit by itself.
	Open FailureMode = iota
	// Closed refuses with an *UnavailableError.
	Closed
)

// A Charge is an amount to take from a bucket.
type Charge struct {
	Bucket Bucket
	Amount int64 // in the bucket's own unit; 0 to MaxAmount
}

// A Grant is a reservation that was granted.
type Grant struct {
	ID     ID
	States []State // one per charge, after it was taken
	// Local says that at least one bucket was granted without its store (FailureMode Open).
	Local bool
}

// A State is what a bucket shows to a client.
type State struct {
	Limit     int64
	Remaining int64         // never negative
	Reset     time.Duration // until all of the limit is free again if nothing more is used
}
