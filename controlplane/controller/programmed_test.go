package controller

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane"
	"github.com/nantian-gw/nantian/controlplane/acks"
	"github.com/nantian-gw/nantian/controlplane/provision"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
	"github.com/nantian-gw/nantian/controlplane/status"
	"github.com/nantian-gw/nantian/controlplane/translate"
	"github.com/nantian-gw/nantian/controlplane/xds"
)

const groupName = translate.GroupName("ns/gw")

func gatewayAt(generation int64, programmed *metav1.Condition) translate.Gateway {
	g := translate.Gateway{Object: &gatewayv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "gw", UID: types.UID("1"), Generation: generation}}, Group: groupName}
	if programmed != nil {
		g.Object.Status.Conditions = []metav1.Condition{*programmed}
	}
	return g
}

// publish notes a view in which the Gateway is of a generation, and returns the version of its group.
func publish(t *testing.T, h *history, g translate.Gateway, content string) string {
	t.Helper()
	key := xdsv1.SecretKey("ns", content)
	s, err := snapshot.New(map[string]*xdsv1.Resource{key: {Kind: &xdsv1.Resource_Secret{Secret: &xdsv1.Secret{Key: key}}}})
	if err != nil {
		t.Fatal(err)
	}
	h.note(controlplane.View{Gateways: []translate.Gateway{g}, Snapshots: map[translate.GroupName]*snapshot.Snapshot{groupName: s}})
	return xds.Version(s.Versions)
}

func programmed(status metav1.ConditionStatus, reason string, generation int64) *metav1.Condition {
	return &metav1.Condition{Type: "Programmed", Status: status, Reason: reason, ObservedGeneration: generation}
}

func decided(t *testing.T, h *history, g translate.Gateway, a acks.Group) metav1.Condition {
	t.Helper()
	u := status.Update{Conditions: []metav1.Condition{*programmed("True", "Programmed", g.Object.Generation)}}
	return complete(u, g.Object.Status, provision.Addressing{}, h.answer(g, a)).Conditions[0]
}

func expect(t *testing.T, what string, c metav1.Condition, status metav1.ConditionStatus, reason string, generation int64) {
	t.Helper()
	if c.Status != status || c.Reason != reason || c.ObservedGeneration != generation {
		t.Errorf("%s: %+v, expected %s %s of generation %d", what, c, status, reason, generation)
	}
}

// Programmed follows from what data planes acknowledge, by generation.
func TestProgrammed(t *testing.T) {
	h := &history{}
	one := gatewayAt(1, nil)
	v1 := publish(t, h, one, "one")
	expect(t, "nobody is connected", decided(t, h, one, acks.Group{}), "False", "Pending", 1)
	expect(t, "acknowledged", decided(t, h, one, acks.Group{Connected: 1, Acked: map[string]int{v1: 1}}), "True", "Programmed", 1)

	// The next generation: the condition of the one before stays until there is an answer.
	two := gatewayAt(2, programmed("True", "Programmed", 1))
	v2 := publish(t, h, two, "two")
	expect(t, "an answer is on its way", decided(t, h, two, acks.Group{Connected: 1, Acked: map[string]int{v1: 1}}), "True", "Programmed", 1)
	expect(t, "acknowledged anew", decided(t, h, two, acks.Group{Connected: 1, Acked: map[string]int{v2: 1}}), "True", "Programmed", 2)

	// A route is edited after that: the answer to an older version of the same generation will do.
	publish(t, h, two, "three")
	expect(t, "an older version", decided(t, h, two, acks.Group{Connected: 1, Acked: map[string]int{v2: 1}}), "True", "Programmed", 2)

	// A leader that has just begun knows nothing but the live status.
	fresh := &history{}
	done := gatewayAt(2, programmed("True", "Programmed", 2))
	publish(t, fresh, done, "three")
	expect(t, "a new leader", decided(t, fresh, done, acks.Group{}), "True", "Programmed", 2)
}

// A refusal of what is published now is told with its reason; one of an older version is not, once something newer serves.
func TestRefused(t *testing.T) {
	h := &history{}
	g := gatewayAt(1, programmed("True", "Programmed", 1))
	v1 := publish(t, h, g, "one")
	v2 := publish(t, h, g, "two")
	refusal := &acks.Refusal{DataPlane: "pod-1", Version: v2, Message: "route/http/ns/x: no"}
	c := decided(t, h, g, acks.Group{Connected: 2, Acked: map[string]int{v1: 1}, Refused: refusal})
	expect(t, "refused", c, "False", "Invalid", 1)
	if want := "the data plane pod-1 refuses the configuration: route/http/ns/x: no"; c.Message != want {
		t.Errorf("message %q", c.Message)
	}
	refusal.Version = v1
	expect(t, "an old refusal", decided(t, h, g, acks.Group{Connected: 2, Acked: map[string]int{v2: 1}, Refused: refusal}), "True", "Programmed", 1)
}

// History is bounded.
func TestHistory(t *testing.T) {
	h := &history{}
	for i := range 3 * maxHistory {
		publish(t, h, gatewayAt(1, nil), string(rune('a'+i)))
	}
	if n := len(h.groups[groupName].versions); n != maxHistory {
		t.Errorf("%d versions are remembered", n)
	}
	h.note(controlplane.View{})
	if len(h.groups) != 0 {
		t.Error("a group that is gone is remembered")
	}
}

// Secrets of data planes have names that objects may have, whatever their group.
func TestClientSecret(t *testing.T) {
	seen := map[string]bool{}
	for _, g := range []translate.GroupName{"ns/web", "ns/shared_web", "ns/shared-web", translate.GroupName("ns/" + strings.Repeat("x", 253))} {
		key := ClientSecret(g)
		if key.Namespace != "ns" || len(key.Name) > 253 || seen[key.Name] {
			t.Errorf("%s: %s", g, key)
		}
		seen[key.Name] = true
	}
}
