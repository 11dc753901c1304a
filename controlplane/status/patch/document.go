// Package patch brings the status of objects in a cluster in line with what the control plane says of them: it finds what
// is different from the live status, and patches that. It owns nothing but its own conditions: what other controllers wrote
// into an object's status stays.
package patch

import (
	"encoding/json"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/controlplane/resources"
)

// document is the status of an object of any kind: each has some of these lists. Those of a ListenerSet's entries read as
// those of listeners.
type document struct {
	Conditions        []metav1.Condition               `json:"conditions"`
	Listeners         []gatewayv1.ListenerStatus       `json:"listeners"`
	Parents           []gatewayv1.RouteParentStatus    `json:"parents"`
	Ancestors         []gatewayv1.PolicyAncestorStatus `json:"ancestors"`
	Addresses         []gatewayv1.GatewayStatusAddress `json:"addresses"`
	SupportedFeatures []gatewayv1.SupportedFeature     `json:"supportedFeatures"`
	// AttachedListenerSets is nil for what has none.
	AttachedListenerSets *int32 `json:"attachedListenerSets"`
}

// read takes the status of a live object.
func read(v resources.Value) (document, error) {
	var d document
	status := reflect.Indirect(reflect.ValueOf(v)).FieldByName("Status")
	if !status.IsValid() {
		return d, nil
	}
	b, err := json.Marshal(status.Interface())
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	return d, err
}

// has says whether the status of an object's kind has a list.
func has(v resources.Value, list string) bool {
	status := reflect.Indirect(reflect.ValueOf(v)).FieldByName("Status")
	return status.IsValid() && status.FieldByName(list).IsValid()
}

// difference is the part of now that is not in old, as a JSON merge patch of the status; nil: there is none.
func difference(old, now document) (map[string]any, error) {
	before, after := lists(old), lists(now)
	out := map[string]any{}
	for name, list := range after {
		a, err := json.Marshal(before[name])
		if err != nil {
			return nil, err
		}
		b, err := json.Marshal(list)
		if err != nil {
			return nil, err
		}
		if string(a) != string(b) {
			out[name] = json.RawMessage(b)
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

// lists are the lists by name, empty ones never nil: in a patch null would be something else.
func lists(d document) map[string]any {
	out := map[string]any{
		"conditions": full(d.Conditions), "listeners": full(d.Listeners), "parents": full(d.Parents), "ancestors": full(d.Ancestors),
		"addresses": full(d.Addresses), "supportedFeatures": full(d.SupportedFeatures),
	}
	if d.AttachedListenerSets != nil {
		out["attachedListenerSets"] = *d.AttachedListenerSets
	}
	return out
}

func full[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
