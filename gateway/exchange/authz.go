package exchange

import "time"

// Authorization is what authorization servers said of a request (the filter ExternalAuth of HTTPRoutes). The zero value: none was
// asked.
type Authorization struct {
	// Result is that of the last one that was asked, in the words of the metric.
	Result string
	// Took is the time that they took together.
	Took time.Duration
	// Response are changes of the response that they want, in order.
	Response []Edit
}

// Edit is a change of a header field. The name is as fasthttp normalises it.
type Edit struct {
	Name, Value string
	Action      Action
}

// Action is what an Edit does.
type Action int

// The actions.
const (
	EditSet         Action = iota // replaces all fields of the name, or adds one
	EditAdd                       // adds a field
	EditAddIfAbsent               // adds a field, unless there is one
	EditSetIfThere                // replaces all fields of the name, if there are some
	EditRemove                    // removes all fields of the name
)
