package translate

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxMessage is the most that a condition's message may have (metav1.Condition).
const maxMessage = 32768

// fault is why something is not as it should be: the reason of a condition and its message.
type fault struct {
	reason, message string
}

// faults gathers faults; of equal ones the first is kept.
type faults struct {
	list []fault
	seen map[fault]bool
}

func (f *faults) add(x *fault) {
	if x == nil || f.seen[*x] {
		return
	}
	if f.seen == nil {
		f.seen = map[fault]bool{}
	}
	f.seen[*x] = true
	f.list = append(f.list, *x)
}

// with is f and the faults of g.
func (f *faults) with(g *faults) *faults {
	var both faults
	for _, list := range [2][]fault{f.list, g.list} {
		for _, x := range list {
			both.add(&x)
		}
	}
	return &both
}

// condition is a condition that is True with reason and message unless there are faults: then it is False with the reason
// of the first and the messages of all.
func (f *faults) condition(typ, reason, message string, generation int64) metav1.Condition {
	c := metav1.Condition{Type: typ, Status: metav1.ConditionTrue, Reason: reason, Message: message, ObservedGeneration: generation}
	if len(f.list) == 0 {
		return c
	}
	c.Status, c.Reason, c.Message = metav1.ConditionFalse, f.list[0].reason, f.list[0].message
	for _, x := range f.list[1:] {
		c.Message += "; " + x.message
	}
	c.Message = bounded(c.Message)
	return c
}

func bounded(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	return strings.ToValidUTF8(s[:maxMessage-3], "") + "..."
}

// oneLine makes joined errors of a resource a sentence. Its key is left out: the object has a status of its own.
func oneLine(key string, err error) string {
	return strings.ReplaceAll(strings.ReplaceAll(err.Error(), key+": ", ""), "\n", "; ")
}

// condition is a condition with the status given.
func condition(typ string, ok bool, reason, message string, generation int64) metav1.Condition {
	c := metav1.Condition{Type: typ, Status: metav1.ConditionFalse, Reason: reason, Message: message, ObservedGeneration: generation}
	if ok {
		c.Status = metav1.ConditionTrue
	}
	return c
}
