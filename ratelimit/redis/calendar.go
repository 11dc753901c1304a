package redis

import (
	"time"

	"github.com/nantian-gw/nantian/ratelimit"
)

// A calendar is where four periods start, in milliseconds: the one before now, that of now, and the next two. The store
// picks the one that its own clock is in.
type calendar [4]int64

// turn brings the calendar up to now.
func (c *calendar) turn(w ratelimit.Window, now time.Time) {
	if ms := now.UnixMilli(); c[1] <= ms && ms < c[2] {
		return
	}
	start, end := w.Bounds(now)
	before, _ := w.Bounds(start.Add(-time.Millisecond))
	_, after := w.Bounds(end)
	*c = calendar{before.UnixMilli(), start.UnixMilli(), end.UnixMilli(), after.UnixMilli()}
}
