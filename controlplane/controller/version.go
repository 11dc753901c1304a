package controller

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/pkg/consts"
)

// supportedVersion adds the condition of that name to those of a GatewayClass: it is true when all CRDs of the Gateway API in the
// cluster are of the minor version that the controller was built and tested with. Others are served as well as can be: the class stays
// accepted. bundles are the versions by CRD; nothing is said while none is known.
func supportedVersion(conditions []metav1.Condition, bundles map[string]string) []metav1.Condition {
	if len(bundles) == 0 || len(conditions) == 0 {
		return conditions
	}
	want := minor(consts.BundleVersion)
	c := metav1.Condition{
		Type: string(gatewayv1.GatewayClassConditionStatusSupportedVersion), Status: metav1.ConditionTrue, ObservedGeneration: conditions[0].ObservedGeneration,
		Reason: string(gatewayv1.GatewayClassReasonSupportedVersion), Message: "the Gateway API's CRDs are of a supported version: " + want,
	}
	var others []string
	for _, name := range slices.Sorted(maps.Keys(bundles)) {
		switch v := bundles[name]; {
		case v == "":
			others = append(others, name+" of no version")
		case minor(v) != want:
			others = append(others, name+" of "+v)
		}
	}
	if len(others) > 0 {
		c.Status, c.Reason = metav1.ConditionFalse, string(gatewayv1.GatewayClassReasonUnsupportedVersion)
		c.Message = fmt.Sprintf("supported are CRDs of %s, but there are %s", want, few(others))
	}
	return append(slices.Clip(conditions), c)
}

// minor is a version without its patch: "v1.6" of "v1.6.3".
func minor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// few lists names, and of more than three how many more there are.
func few(names []string) string {
	if n := len(names); n > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), n-3)
	}
	return strings.Join(names, ", ")
}
