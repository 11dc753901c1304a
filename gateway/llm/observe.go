package llm

import (
	"time"

	"github.com/nantian-gw/nantian/ai"
)

// Observer makes the instruments of targets. It is called while a table is compiled; model is the provider's name of it,
// or a pattern with "*" where any name is taken, so that labels are bounded by the configuration.
type Observer interface {
	Target(provider, model string) Meter
}

// Meter records what happens at one target. It is called by many requests at once.
type Meter interface {
	// Attempt counts a call and its outcome: ok, rate_limited, server_error, timeout, connect, auth, not_found, refused
	// (another 4xx), unsupported, blocked (by a prompt guard) or aborted. took is until the answer was whole, or the stream
	// had ended.
	Attempt(outcome string, took time.Duration)
	// Fallback counts a call that is made because the one before failed.
	Fallback()
	// FirstToken is the time from the request's arrival to the first event with content of a stream.
	FirstToken(d time.Duration)
	// BetweenTokens is the time from one batch of events with content to the next.
	BetweenTokens(d time.Duration)
	// OpenStreams moves the number of streams under way by 1 or -1.
	OpenStreams(delta int)
	// Tokens records what a call used and what that costs, in billionths of a US dollar, once. Without a price it costs 0.
	Tokens(u *ai.Usage, cost int64)
	// Unpriced counts a call of a model without a price.
	Unpriced()
	// Learned records by what share of what a provider reported a calibrated estimate was off, and of how many models
	// something is known now.
	Learned(off float64, models int)
}

// nowhere is the Observer and Meter of those who want none.
type nowhere struct{}

var (
	_ Observer = nowhere{}
	_ Meter    = nowhere{}
)

func (nowhere) Target(string, string) Meter   { return nowhere{} }
func (nowhere) Attempt(string, time.Duration) {}
func (nowhere) Fallback()                     {}
func (nowhere) FirstToken(time.Duration)      {}
func (nowhere) BetweenTokens(time.Duration)   {}
func (nowhere) OpenStreams(int)               {}
func (nowhere) Tokens(*ai.Usage, int64)       {}
func (nowhere) Unpriced()                     {}
func (nowhere) Learned(float64, int)          {}
