package kube

import "time"

// pace says when changes are told: after a quiet, or when they have waited for long enough.
type pace struct {
	quiet, most time.Duration
	// first and slices are when the first change of each sort came that was not told yet; zero: there is none.
	first, slices time.Time
}

// due is told of each change and says when to tell. Changes of EndpointSlices alone wait no longer for more: in a large
// cluster it is never quiet.
func (p *pace) due(full, slices bool) (time.Time, bool) {
	now := time.Now()
	if full && p.first.IsZero() {
		p.first = now
	}
	if slices && p.slices.IsZero() {
		p.slices = now
	}
	switch {
	case full:
		return earlier(now.Add(p.quiet), p.first.Add(p.most)), true
	case slices:
		return p.slices.Add(p.quiet), true
	}
	return time.Time{}, false
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
