package resources

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	k8sschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"go.yaml.in/yaml/v3"
	kjson "sigs.k8s.io/json"

	"github.com/nantian-gw/nantian/controlplane/schema"
	"github.com/nantian-gw/nantian/crds/v1alpha1"
)

// Decoder reads objects from YAML and JSON as a cluster would take them: strictly, with the defaults of the kinds set and
// their rules checked. Safe for concurrent use.
type Decoder struct {
	schemas *schema.Registry
	lookup  func(name string) (string, bool)
}

// NewDecoder returns a Decoder. lookup finds the variables that a Secret's stringData may name; os.LookupEnv is one.
func NewDecoder(lookup func(name string) (string, bool)) *Decoder {
	return &Decoder{schemas: schema.New(), lookup: lookup}
}

// Decode reads a file of one or more YAML documents. Objects that a cluster would refuse are left out and told as problems;
// the others stand. A problem without Ref means that what the file holds is not known in full. known are objects that were
// decoded before: of one that has not changed the value is used again, which is many times faster than checking it anew.
func (d *Decoder) Decode(file string, text []byte, known ...Object) ([]Object, []Problem) {
	r := &reader{Decoder: d, file: file, known: make(map[[sha256.Size]byte]Value, len(known))}
	for _, o := range known {
		r.known[o.sum] = o.Value
	}
	docs, err := documents(text)
	r.all(docs)
	if err != nil {
		r.syntax(err)
	}
	return r.objects, r.problems
}

// reader is the state of one Decode.
type reader struct {
	*Decoder
	file     string
	known    map[[sha256.Size]byte]Value
	objects  []Object
	problems []Problem
}

// all reads documents, several at once: the rules of some kinds take a millisecond.
func (r *reader) all(docs []*yaml.Node) {
	parts := make([]*reader, len(docs))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(docs)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(docs); i = int(next.Add(1)) - 1 {
				parts[i] = &reader{Decoder: r.Decoder, file: r.file, known: r.known}
				parts[i].document(docs[i])
			}
		})
	}
	wg.Wait()
	for _, p := range parts {
		r.objects = append(r.objects, p.objects...)
		r.problems = append(r.problems, p.problems...)
	}
}

func (r *reader) syntax(err error) {
	p := Problem{Origin: Origin{File: r.file}, Message: err.Error()}
	var y *yamlError
	if errors.As(err, &y) {
		p.Origin.Line = y.line
	}
	r.problems = append(r.problems, p)
}

func (r *reader) document(n *yaml.Node) {
	if n.ShortTag() == "!!null" {
		return
	}
	var warnings []Problem
	c := converter{warn: func(line int, message string) {
		warnings = append(warnings, Problem{Origin: Origin{r.file, line}, Message: message, Warning: true})
	}}
	v, err := c.value(n, 0)
	if err != nil {
		r.syntax(err)
		return
	}
	m, ok := v.(map[string]any)
	if !ok {
		r.syntax(&yamlError{n.Line, "is not a Kubernetes object"})
		return
	}
	if m["kind"] == "List" && m["apiVersion"] == "v1" {
		r.list(n, m)
	} else {
		r.object(n, m)
	}
	r.problems = append(r.problems, warnings...)
}

// list reads what kubectl get -o yaml prints for several objects.
func (r *reader) list(n *yaml.Node, m map[string]any) {
	items, _ := m["items"].([]any)
	_, nodes, _ := descend(n, "items")
	if nodes == nil || nodes.Kind != yaml.SequenceNode {
		return
	}
	for i, item := range items {
		object, ok := item.(map[string]any)
		if !ok {
			r.syntax(&yamlError{nodes.Content[i].Line, "is not a Kubernetes object"})
			continue
		}
		r.object(nodes.Content[i], object)
	}
}

// object reads one object; n is where it stands and m its content.
func (r *reader) object(n *yaml.Node, m map[string]any) {
	gvk, ref := identify(m)
	o := &objectReader{reader: r, node: n, ref: ref, gvk: gvk}
	value := newValue(gvk.GroupKind())
	switch {
	case gvk.Kind == "" || gvk.Version == "":
		r.syntax(&yamlError{n.Line, "is not a Kubernetes object: apiVersion and kind are required"})
		return
	case value == nil && foreign(gvk.Group):
		o.tell(Problem{Message: fmt.Sprintf("the gateway does not read the kind %s of %s", gvk.Kind, gvk.GroupVersion()), Warning: true})
		return
	case value == nil:
		o.fault("kind", fmt.Sprintf("%s of %s is not a kind that this version knows", gvk.Kind, gvk.Group))
		return
	}
	if gvk.Group == "" && gvk.Kind == "Secret" {
		o.expand(m)
	}
	sum, err := hash(m)
	if err != nil {
		o.fault("", err.Error())
	}
	if same := r.known[sum]; same != nil && o.faults == 0 {
		value = same
	} else {
		o.read(m, value)
	}
	if o.faults > 0 {
		o.attached(m)
	}
	if o.faults == 0 {
		r.objects = append(r.objects, Object{Ref: ref, Origin: Origin{r.file, n.Line}, Value: value, sum: sum})
	}
}

// attached notes in the problems of an object of ours what it was to be attached to.
func (o *objectReader) attached(m map[string]any) {
	spec, _ := m["spec"].(map[string]any)
	if o.gvk.Group != v1alpha1.GroupName || spec["targetRefs"] == nil {
		return
	}
	targets, err := json.Marshal(spec["targetRefs"])
	if err != nil {
		return
	}
	for i := range o.problems {
		if o.problems[i].Ref == o.ref {
			o.problems[i].targets = string(targets)
		}
	}
}

// hash is of an object as it was written, its variables replaced. Maps are marshalled in order of their keys.
func hash(m map[string]any) ([sha256.Size]byte, error) {
	b, err := json.Marshal(m)
	return sha256.Sum256(b), err
}

// identify reads what kind of object m is and what it is called. The namespace is filled in where it is missing.
func identify(m map[string]any) (k8sschema.GroupVersionKind, Ref) {
	apiVersion, _ := m["apiVersion"].(string)
	kind, _ := m["kind"].(string)
	gvk := k8sschema.FromAPIVersionAndKind(apiVersion, kind)
	meta, ok := m["metadata"].(map[string]any)
	if !ok {
		meta = map[string]any{}
	}
	name, _ := meta["name"].(string)
	namespace, _ := meta["namespace"].(string)
	if namespace == "" && namespaced(gvk.GroupKind()) {
		namespace = "default"
		meta["namespace"] = namespace
	}
	return gvk, Ref{Group: gvk.Group, Kind: kind, Namespace: namespace, Name: name}
}

// objectReader is the state of one object.
type objectReader struct {
	*reader
	node   *yaml.Node
	ref    Ref
	gvk    k8sschema.GroupVersionKind
	faults int
}

// fault notes what a cluster would refuse.
func (o *objectReader) fault(path, message string) {
	o.faults++
	o.tell(Problem{Field: path, Message: message})
}

func (o *objectReader) tell(p Problem) {
	p.Ref = o.ref
	p.Origin = Origin{o.file, lineOf(o.node, p.Field)}
	o.problems = append(o.problems, p)
}

// read fills value from m, as far as there are no faults.
func (o *objectReader) read(m map[string]any, value Value) {
	if !o.version() {
		return
	}
	if o.schemas.Has(o.gvk.GroupKind()) {
		faults, err := o.schemas.Check(o.gvk, m)
		if err != nil {
			o.fault("apiVersion", err.Error())
		}
		for _, f := range faults {
			o.fault(f.Path, f.Message)
		}
	}
	if o.faults > 0 {
		return
	}
	o.typed(m, value)
	if o.faults > 0 {
		return
	}
	o.metadata(value)
	o.core(value)
	if value.GetGeneration() == 0 {
		value.SetGeneration(1)
	}
}

// version says whether a cluster serves the version that the object has.
func (o *objectReader) version() bool {
	served := []string{coreVersion}
	if o.schemas.Has(o.gvk.GroupKind()) {
		var err error
		if served, err = o.schemas.Served(o.gvk.GroupKind()); err != nil {
			o.fault("apiVersion", err.Error())
			return false
		}
	}
	if !slices.Contains(served, o.gvk.Version) {
		o.fault("apiVersion", fmt.Sprintf("%s has no version %s, only %s", o.gvk.Kind, o.gvk.Version, strings.Join(served, ", ")))
		return false
	}
	return true
}

// typed turns m into value, strictly.
func (o *objectReader) typed(m map[string]any, value Value) {
	b, err := json.Marshal(m)
	if err != nil {
		o.fault("", err.Error())
		return
	}
	strict, err := kjson.UnmarshalStrict(b, value)
	for _, e := range strict {
		if path, ok := strings.CutPrefix(e.Error(), `unknown field "`); ok {
			o.fault(strings.TrimSuffix(path, `"`), "unknown field")
		} else {
			o.fault("", e.Error())
		}
	}
	if err != nil {
		o.mistyped(err)
	}
}

// mistyped tells of a value of the wrong type, by its field.
func (o *objectReader) mistyped(err error) {
	var t *json.UnmarshalTypeError
	if errors.As(err, &t) {
		o.fault(t.Field, fmt.Sprintf("is a %s, not a %s", t.Value, t.Type))
		return
	}
	o.fault("", strings.TrimPrefix(err.Error(), "json: "))
}

// metadata checks name, namespace, labels and annotations.
func (o *objectReader) metadata(value Value) {
	name := apivalidation.NameIsDNSSubdomain
	switch o.gvk.Kind {
	case "Service":
		name = apivalidation.NameIsDNS1035Label
	case "Namespace":
		name = apivalidation.ValidateNamespaceName
	}
	path := field.NewPath("metadata")
	for _, e := range apivalidation.ValidateObjectMetaAccessor(value, namespaced(o.gvk.GroupKind()), name, path) {
		o.fault(e.Field, e.ErrorBody())
	}
}
