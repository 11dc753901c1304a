package controller

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/gateway-api/pkg/consts"
)

func TestSupportedVersion(t *testing.T) {
	accepted := []metav1.Condition{{Type: "Accepted", Status: metav1.ConditionTrue, ObservedGeneration: 4}}
	f := func(bundles map[string]string, want metav1.ConditionStatus, message string) {
		t.Helper()
		got := supportedVersion(accepted, bundles)
		if want == "" {
			if len(got) != 1 {
				t.Errorf("%v: %v", bundles, got)
			}
			return
		}
		if len(got) != 2 || got[1].Status != want || !strings.Contains(got[1].Message, message) || got[1].ObservedGeneration != 4 {
			t.Errorf("%v: %+v, expected %s with %q", bundles, got[1:], want, message)
		}
	}
	f(nil, "", "")
	f(map[string]string{"gateways.g": consts.BundleVersion, "httproutes.g": minor(consts.BundleVersion) + ".99"}, metav1.ConditionTrue, minor(consts.BundleVersion))
	f(map[string]string{"gateways.g": consts.BundleVersion, "httproutes.g": "v1.2.0"}, metav1.ConditionFalse, "httproutes.g of v1.2.0")
	f(map[string]string{"gateways.g": ""}, metav1.ConditionFalse, "gateways.g of no version")
	f(map[string]string{"gateways.g": "v9.9.9", "b": "main", "c": "v0", "d": "v1", "e": "x"}, metav1.ConditionFalse, "and 2 more")
}
