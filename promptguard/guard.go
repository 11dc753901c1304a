package promptguard

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// An Action is what is done about a finding. A greater one is stricter.
type Action uint8

// Audit notes a finding and changes nothing, Hash replaces the value by a keyed hash, Mask by a placeholder, and Block
// refuses the text.
const (
	Allow Action = iota
	Audit
	Hash
	Mask
	Block
)

func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

var actionNames = [...]string{"Allow", "Audit", "Hash", "Mask", "Block"}

// ParseAction returns the action of a name.
func ParseAction(name string) (Action, bool) {
	i := slices.Index(actionNames[:], name)
	return Action(max(0, i)), i >= 0
}

// A Text is one piece of what is said: a message, a part of one, the arguments of a tool call.
type Text struct {
	Role    string // who says it: "system", "user", "assistant", "tool"
	Part    string // what it is part of: "text", "reasoning", "tool_call"
	Content []byte
	Partial bool // more of the same part follows
}

// A Finding is a place in a text and the rule it breaks. It never holds the text itself.
type Finding struct {
	Rule       string // the name of the rule
	Kind       string // what was found, as "Email" or "Secret/github-token"
	Start, End int    // offsets in the text, in bytes
	Action     Action
	label      string // names its placeholder
	key        string // of a hash
	restore    bool
}

// NewFinding returns a finding of a guard that is not a Set. What it masks does not return.
func NewFinding(rule, kind string, start, end int, action Action) Finding {
	return Finding{Rule: rule, Kind: kind, Start: start, End: end, Action: action, label: "REDACTED"}
}

func (f Finding) String() string {
	return fmt.Sprintf("%s: %s at %d-%d: %s", f.Rule, f.Kind, f.Start, f.End, f.Action)
}

// A Verdict is what a guard says about a text: the strictest action of its findings, and the findings by their start.
type Verdict struct {
	Action   Action
	Findings []Finding
}

// A Guard judges texts. It may be used by many goroutines at once.
type Guard interface {
	// Inspect judges one text. An error means that it could not be judged, never that something was found.
	Inspect(ctx context.Context, t Text) (Verdict, error)
}

// ErrBlocked is the answer to anything pushed into a stream after a Block.
var ErrBlocked = errors.New("promptguard: the stream was blocked")

func (v *Verdict) add(f Finding) {
	v.Findings = append(v.Findings, f)
	v.Action = max(v.Action, f.Action)
}

// Chain asks guards one after the other, until one blocks. Its verdict has the findings of all.
type Chain []Guard

var _ Guard = Chain(nil)

// Inspect asks each guard in turn.
func (c Chain) Inspect(ctx context.Context, t Text) (Verdict, error) {
	var all Verdict
	for _, g := range c {
		v, err := g.Inspect(ctx, t)
		if err != nil {
			return all, err
		}
		all.Findings = append(all.Findings, v.Findings...)
		all.Action = max(all.Action, v.Action)
		if all.Action == Block {
			break
		}
	}
	slices.SortStableFunc(all.Findings, CompareFindings)
	return all, nil
}
