package limit

import "time"

// Observer makes the instruments of limits. It is called while a table is compiled; labels are bounded by the configuration.
type Observer interface {
	// Limit is for one limit: policy is "<ns>/<name>", unit as the wire spells it.
	Limit(policy, limit, unit string) Meter
	// StoreChanged is told whether the store of limits can be reached.
	StoreChanged(up bool)
}

// Meter records what happens at one limit, in its unit; of cost in 1e-9 US dollars. It is called by many requests at once.
type Meter interface {
	// Reserved counts an estimate that was reserved, Settled what was used.
	Reserved(amount int64)
	Settled(amount int64)
	// Refused counts a request that was refused, or with Warn would have been: limited, full (the queue), timeout (in the queue),
	// left (the client did, while it waited), unidentified, unavailable or warned.
	Refused(outcome string)
	// Overshot counts by how much the limit was exceeded.
	Overshot(amount int64)
	// Waiting moves the number of requests that wait by 1 or -1, Waited records how long one did that then had room.
	Waiting(delta int)
	Waited(d time.Duration)
	// Cut counts a stream that was ended at the limit.
	Cut()
}

// nowhere is the Observer and Meter of those who want none.
type nowhere struct{}

var (
	_ Observer = nowhere{}
	_ Meter    = nowhere{}
)

func (nowhere) Limit(string, string, string) Meter { return nowhere{} }
func (nowhere) StoreChanged(bool)                  {}
func (nowhere) Reserved(int64)                     {}
func (nowhere) Settled(int64)                      {}
func (nowhere) Refused(string)                     {}
func (nowhere) Overshot(int64)                     {}
func (nowhere) Waiting(int)                        {}
func (nowhere) Waited(time.Duration)               {}
func (nowhere) Cut()                               {}
