package ratelimit

import (
	"fmt"
	"time"
)

const (
	// MinWindow and MaxWindow bound sliding windows.
	MinWindow = time.Second
	MaxWindow = 31 * 24 * time.Hour

	slots = 30 // per window; the package comment says what it costs
)

// A Window is the time over which a limit holds: Sliding or Calendar makes one. The zero Window is invalid.
type Window struct {
	length time.Duration
	period Period
	zone   *time.Location
}

// A Period is a unit of the calendar.
type Period uint8

const (
	Day   Period = iota + 1
	Week         // from Monday (ISO 8601)
	Month        // from the first
)

var periods = [...]string{Day: "day", Week: "week", Month: "month"}

func (p Period) String() string {
	if p < Day || p > Month {
		return fmt.Sprintf("Period(%d)", uint8(p))
	}
	return periods[p]
}

// Sliding is the last d before every moment, in whole milliseconds, from MinWindow to MaxWindow.
func Sliding(d time.Duration) Window { return Window{length: d} }

// Calendar is the running day, week or month of a time zone; nil is UTC. The zone's name is part of a bucket's identity.
func Calendar(p Period, zone *time.Location) Window {
	if zone == nil {
		zone = time.UTC
	}
	return Window{period: p, zone: zone}
}

// IsCalendar says whether w is a Calendar window.
func (w Window) IsCalendar() bool { return w.period != 0 }

// Length is a sliding window's length; 0 for a calendar window.
func (w Window) Length() time.Duration { return w.length }

// String names the window: "1m0s" or "month of Europe/Berlin". Windows with equal names are the same.
func (w Window) String() string {
	if w.IsCalendar() {
		return w.period.String() + " of " + w.zone.String()
	}
	return w.length.String()
}

// Zone is a calendar window's time zone by name; empty for a sliding window.
func (w Window) Zone() string {
	if w.zone == nil {
		return ""
	}
	return w.zone.String()
}

// Period is a calendar window's unit; 0 for a sliding window.
func (w Window) Period() Period { return w.period }

func (w Window) validate() error {
	switch {
	case w.IsCalendar() && w.period > Month:
		return fmt.Errorf("window: period %d, expected Day, Week or Month", w.period)
	case w.IsCalendar() && w.zone.String() == "Local":
		return fmt.Errorf("window: time zone %q, expected a name that means the same on every machine", "Local")
	case w.IsCalendar():
		return nil
	case w.length < MinWindow || w.length > MaxWindow:
		return fmt.Errorf("window: %s, expected %s to %s", w.length, MinWindow, MaxWindow)
	case w.length%time.Millisecond != 0:
		return fmt.Errorf("window: %s, expected whole milliseconds", w.length)
	}
	return nil
}

// Slots says how a sliding window is kept: the width of a slot, and how many of them weigh at once, the running one
// included. A calendar window is one slot without a width.
func (w Window) Slots() (width time.Duration, count int) {
	if w.IsCalendar() {
		return 0, 1
	}
	width = (w.length + slots*time.Millisecond - 1) / (slots * time.Millisecond) * time.Millisecond
	return width, int((w.length+width-1)/width) + 1
}

// Bounds returns the calendar period that holds t, as start and as the start of the next one.
func (w Window) Bounds(t time.Time) (start, end time.Time) {
	y, m, d := t.In(w.zone).Date()
	date := func(m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, w.zone) }
	switch w.period {
	case Week:
		d -= int(t.In(w.zone).Weekday()+6) % 7
		return date(m, d), date(m, d+7)
	case Month:
		return date(m, 1), date(m+1, 1)
	default:
		return date(m, d), date(m, d+1)
	}
}
