package resources

import (
	"crypto/sha256"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Ref names an object.
type Ref struct {
	Group, Kind, Namespace, Name string
}

// String is the ref as messages show it: "HTTPRoute shop/cart".
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

// Compare orders refs by group, kind, namespace and name.
func (r Ref) Compare(o Ref) int {
	for _, c := range [4]int{
		strings.Compare(r.Group, o.Group), strings.Compare(r.Kind, o.Kind),
		strings.Compare(r.Namespace, o.Namespace), strings.Compare(r.Name, o.Name),
	} {
		if c != 0 {
			return c
		}
	}
	return 0
}

// Origin is where an object was read. It is empty for an object that came from a cluster.
type Origin struct {
	File string
	Line int
}

// String is "file:line", or empty.
func (o Origin) String() string {
	if o.File == "" {
		return ""
	}
	if o.Line == 0 {
		return o.File
	}
	return fmt.Sprintf("%s:%d", o.File, o.Line)
}

// Value is a typed Kubernetes object.
type Value interface {
	metav1.Object
	runtime.Object
}

// Object is one object with its name and origin. Its value must not be changed.
type Object struct {
	Ref    Ref
	Origin Origin
	Value  Value
	// sum is the hash of what the value was decoded from.
	sum [sha256.Size]byte
}

// Problem is something in the input that a cluster would refuse, or that the gateway does not read.
type Problem struct {
	Origin Origin
	// Ref is the object; empty where none could be read.
	Ref Ref
	// Field is the path of the field; empty for the object as a whole.
	Field   string
	Message string
	// Warning says that nothing is wrong: the rest is used, and validate does not fail for it.
	Warning bool
	// targets are the spec.targetRefs of an object of ours, in JSON as they were written: what it was to be for is known although
	// it cannot be used.
	targets string
}

// String is one line: origin, object, field, message.
func (p Problem) String() string {
	var parts []string
	if o := p.Origin.String(); o != "" {
		parts = append(parts, o)
	}
	if p.Ref != (Ref{}) {
		parts = append(parts, p.Ref.String())
	}
	if p.Field != "" {
		parts = append(parts, p.Field)
	}
	return strings.Join(append(parts, p.Message), ": ")
}
