package upstream

// Meter is told what becomes of the endpoints and calls of a cluster. It is called from any goroutine.
type Meter interface {
	// Endpoints moves the number of endpoints in a state.
	Endpoints(state string, delta int)
	// Ejected counts an endpoint taken out because of what: 5xx or gateway.
	Ejected(cause string)
	// Refused counts a call that was not made.
	Refused(why string)
	// Checked counts a health check.
	Checked(ok bool)
}

// The states of endpoints, each in one.
const (
	StateFit       = "fit"
	StateUnhealthy = "unhealthy"
	StateEjected   = "ejected"
	StateDraining  = "draining"
)

// Why calls are refused.
const (
	RefusedRequest = "requests" // too many in flight
	RefusedRetry   = "retries"  // the budget of retries is used up
)

func (e *Endpoint) state() string {
	switch {
	case e.draining:
		return StateDraining
	case !e.ejected.IsZero():
		return StateEjected
	case e.sick:
		return StateUnhealthy
	}
	return StateFit
}

// measure tells the meter the endpoints in each state. The lock is held.
func (c *Cluster) measure(list []*Endpoint) {
	var now [len(states)]int
	for _, e := range list {
		for i, s := range states {
			if s == e.state() {
				now[i]++
			}
		}
	}
	for i, s := range states {
		if d := now[i] - c.measured[i]; d != 0 {
			c.Meter.Endpoints(s, d)
		}
	}
	c.measured = now
}

var states = [...]string{StateFit, StateUnhealthy, StateEjected, StateDraining}

// nobody is a Meter that does not care.
type nobody struct{}

var _ Meter = nobody{}

func (nobody) Endpoints(string, int) {}
func (nobody) Ejected(string)        {}
func (nobody) Refused(string)        {}
func (nobody) Checked(bool)          {}
