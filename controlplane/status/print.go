package status

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/controlplane/resources"
)

// Text writes one block for each problem and each object: its origin, and its conditions with a mark where one is not as it
// should be.
func Text(w io.Writer, updates []Update, problems []resources.Problem) error {
	var b strings.Builder
	for _, p := range problems {
		level := "error"
		if p.Warning {
			level = "warning"
		}
		fmt.Fprintf(&b, "%s: %s\n", level, p)
	}
	for _, u := range updates {
		writeUpdate(&b, u)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeUpdate(b *strings.Builder, u Update) {
	b.WriteString(u.Ref.String())
	if o := u.Origin.String(); o != "" {
		b.WriteString(" (" + o + ")")
	}
	b.WriteString("\n")
	writeConditions(b, "  ", u.Conditions)
	for _, l := range u.Listeners {
		fmt.Fprintf(b, "  listener %s: %d routes attached\n", l.Name, l.AttachedRoutes)
		writeConditions(b, "    ", l.Conditions)
	}
	for _, p := range u.Parents {
		fmt.Fprintf(b, "  at %s\n", parentName(p.Ref))
		writeConditions(b, "    ", p.Conditions)
	}
	if len(u.Conditions)+len(u.Listeners)+len(u.Parents) == 0 {
		b.WriteString("  not in use\n")
	}
}

func writeConditions(b *strings.Builder, indent string, conditions []metav1.Condition) {
	for _, c := range conditions {
		mark := "ok "
		if !Good(c) {
			mark = "BAD"
		}
		fmt.Fprintf(b, "%s%s %s=%s %s: %s\n", indent, mark, c.Type, c.Status, c.Reason, c.Message)
	}
}

func parentName(p gatewayv1.ParentReference) string {
	name := string(ptr.Deref(p.Kind, "Gateway")) + " "
	if p.Namespace != nil {
		name += string(*p.Namespace) + "/"
	}
	name += string(p.Name)
	if p.SectionName != nil {
		section := " listener "
		switch kind := string(ptr.Deref(p.Kind, "")); {
		case strings.HasSuffix(kind, "Route"):
			section = " rule "
		case kind == "Service":
			section = " port "
		}
		name += section + string(*p.SectionName)
	}
	if p.Port != nil {
		name += fmt.Sprintf(" port %d", *p.Port)
	}
	return name
}

// JSON writes the same as one JSON document.
func JSON(w io.Writer, updates []Update, problems []resources.Problem) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(NewReport(updates, problems))
}

// Report is what JSON writes.
type Report struct {
	OK       bool            `json:"ok"`
	Problems []ReportProblem `json:"problems"`
	Objects  []ReportObject  `json:"objects"`
}

// ReportProblem is a resources.Problem.
type ReportProblem struct {
	Level   string `json:"level"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Object  string `json:"object,omitempty"`
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

// ReportObject is an Update.
type ReportObject struct {
	Group      string                     `json:"group"`
	Kind       string                     `json:"kind"`
	Namespace  string                     `json:"namespace,omitempty"`
	Name       string                     `json:"name"`
	File       string                     `json:"file,omitempty"`
	Line       int                        `json:"line,omitempty"`
	OK         bool                       `json:"ok"`
	Conditions []metav1.Condition         `json:"conditions,omitempty"`
	Listeners  []gatewayv1.ListenerStatus `json:"listeners,omitempty"`
	Parents    []ReportParent             `json:"parents,omitempty"`
}

// ReportParent is a Parent.
type ReportParent struct {
	ParentRef  gatewayv1.ParentReference `json:"parentRef"`
	Conditions []metav1.Condition        `json:"conditions"`
}

// NewReport makes a Report. OK means that every object is and that no problem is more than a warning.
func NewReport(updates []Update, problems []resources.Problem) Report {
	r := Report{OK: true, Problems: []ReportProblem{}, Objects: []ReportObject{}}
	for _, p := range problems {
		level := "warning"
		if !p.Warning {
			level, r.OK = "error", false
		}
		object := ""
		if p.Ref != (resources.Ref{}) {
			object = p.Ref.String()
		}
		r.Problems = append(r.Problems, ReportProblem{level, p.Origin.File, p.Origin.Line, object, p.Field, p.Message})
	}
	for _, u := range updates {
		o := ReportObject{
			Group: u.Ref.Group, Kind: u.Ref.Kind, Namespace: u.Ref.Namespace, Name: u.Ref.Name,
			File: u.Origin.File, Line: u.Origin.Line, OK: u.OK(), Conditions: u.Conditions, Listeners: u.Listeners,
		}
		for _, p := range u.Parents {
			o.Parents = append(o.Parents, ReportParent{p.Ref, p.Conditions})
		}
		r.OK = r.OK && o.OK
		r.Objects = append(r.Objects, o)
	}
	return r
}
