package memory

import (
	"time"

	"github.com/nantian-gw/nantian/ratelimit"
)

// A key is a bucket's identity. The zone goes by name: one loaded twice is the same.
type key struct {
	name   string
	zone   string
	length time.Duration
	period ratelimit.Period
}

func keyOf(b *ratelimit.Bucket) key {
	return key{b.Key, b.Window.Zone(), b.Window.Length(), b.Window.Period()}
}

// A bucket is a ring of slots; ratelimit's package comment describes it. Its shard's lock guards it. Times are milliseconds.
type bucket struct {
	key    key
	window ratelimit.Window
	limit  int64 // as last seen
	holds  int   // reservations that will come back to it
	shard  uint8

	width int64 // of a slot; 0: the slot is a calendar period
	head  int64 // number of the running slot: time divided by width, or the period's start
	end   int64 // when the running slot ends
	total int64 // of all slots, at most MaxUsed
	slots []int64
}

func newBucket(k key, w ratelimit.Window, shard uint8) *bucket {
	width, n := w.Slots()
	return &bucket{key: k, window: w, shard: shard, width: width.Milliseconds(), slots: make([]int64, n)}
}

// advance drops what has left the window. A clock that goes back is ignored until it has caught up.
func (b *bucket) advance(now int64) {
	if now < b.end {
		return
	}
	if b.width == 0 {
		start, end := b.window.Bounds(time.UnixMilli(now))
		b.head, b.end = start.UnixMilli(), end.UnixMilli()
		b.total, b.slots[0] = 0, 0
		return
	}
	head := now / b.width
	for n := max(b.head, head-int64(len(b.slots))) + 1; n <= head && b.total > 0; n++ {
		slot := &b.slots[n%int64(len(b.slots))]
		b.total -= *slot
		*slot = 0
	}
	b.head, b.end = head, (head+1)*b.width
}

// at is where the ring keeps slot n; nil if it has left the window.
func (b *bucket) at(n int64) *int64 {
	switch {
	case n == b.head:
	case b.width == 0 || n > b.head || b.head-n >= int64(len(b.slots)):
		return nil
	}
	if b.width == 0 {
		return &b.slots[0]
	}
	return &b.slots[n%int64(len(b.slots))]
}

// add charges the running slot, and returns its number.
func (b *bucket) add(amount int64) int64 {
	amount = min(amount, ratelimit.MaxUsed-b.total)
	*b.at(b.head) += amount
	b.total += amount
	return b.head
}

// sub takes back from a slot what it still weighs.
func (b *bucket) sub(n, amount int64) {
	if slot := b.at(n); slot != nil {
		amount = min(amount, *slot)
		*slot -= amount
		b.total -= amount
	}
}

// wait is how long it takes until need has left the window, in milliseconds.
func (b *bucket) wait(need, now int64) int64 {
	if b.width == 0 {
		return b.end - now
	}
	n := b.head - int64(len(b.slots)) + 1
	for ; n < b.head; n++ {
		if need -= *b.at(max(n, 0)); need <= 0 {
			break
		}
	}
	return b.leaves(n) - now
}

// leaves is when slot n leaves the window.
func (b *bucket) leaves(n int64) int64 { return (n + int64(len(b.slots))) * b.width }

func (b *bucket) state(now int64) ratelimit.State {
	s := ratelimit.State{Limit: b.limit, Remaining: max(0, b.limit-b.total)}
	if b.total == 0 {
		return s
	}
	reset := b.end
	if b.width != 0 {
		n := b.head
		for *b.at(n) == 0 {
			n--
		}
		reset = b.leaves(n)
	}
	s.Reset = time.Duration(reset-now) * time.Millisecond
	return s
}
