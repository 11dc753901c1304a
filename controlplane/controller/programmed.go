package controller

import (
	"fmt"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/controlplane"
	"github.com/nantian-gw/nantian/controlplane/acks"
	"github.com/nantian-gw/nantian/controlplane/provision"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
	"github.com/nantian-gw/nantian/controlplane/status"
	"github.com/nantian-gw/nantian/controlplane/translate"
	"github.com/nantian-gw/nantian/controlplane/xds"
)

// maxHistory is how many versions of a group are remembered: an answer may be about one that is a second old.
const maxHistory = 32

// history remembers which generation of which Gateway is in which version of its group. It is safe for concurrent use.
type history struct {
	mu     sync.Mutex
	groups map[translate.GroupName]*groupHistory
}

type groupHistory struct {
	snapshot *snapshot.Snapshot
	versions []version // oldest first
}

type version struct {
	name        string
	generations map[types.UID]int64
}

// note takes what is published.
func (h *history) note(v controlplane.View) {
	generations := map[translate.GroupName]map[types.UID]int64{}
	for _, g := range v.Gateways {
		if generations[g.Group] == nil {
			generations[g.Group] = map[types.UID]int64{}
		}
		generations[g.Group][g.Object.UID] = g.Object.Generation
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	next := make(map[translate.GroupName]*groupHistory, len(v.Snapshots))
	for name, s := range v.Snapshots {
		g := h.groups[name]
		if g == nil {
			g = &groupHistory{}
		}
		g.note(s, generations[name])
		next[name] = g
	}
	h.groups = next
}

func (g *groupHistory) note(s *snapshot.Snapshot, generations map[types.UID]int64) {
	if g.snapshot == s {
		return
	}
	g.snapshot = s
	name := xds.Version(s.Versions)
	g.versions = slices.DeleteFunc(g.versions, func(v version) bool { return v.name == name })
	g.versions = append(g.versions, version{name, generations})
	if len(g.versions) > maxHistory {
		g.versions = slices.Delete(g.versions, 0, len(g.versions)-maxHistory)
	}
}

// answer is what data planes say of a Gateway.
type answer struct {
	// acked: one serves the Gateway's present generation.
	acked bool
	// refused is why one does not take what is published now; empty: none has refused it.
	refused   string
	connected int
}

// answer finds what the answers of its group say of a Gateway.
func (h *history) answer(g translate.Gateway, a acks.Group) answer {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := answer{connected: a.Connected}
	of := h.groups[g.Group]
	if of == nil || len(of.versions) == 0 {
		return out
	}
	for _, v := range of.versions {
		out.acked = out.acked || (a.Acked[v.name] > 0 && v.generations[g.Object.UID] == g.Object.Generation)
	}
	if r := a.Refused; r != nil && (r.Version == of.versions[len(of.versions)-1].name || !out.acked) {
		out.refused = fmt.Sprintf("the data plane %s refuses the configuration: %s", r.DataPlane, r.Message)
	}
	return out
}

// complete adds to the status of a Gateway its addresses, and decides Programmed by what data planes answered. It stays True
// across restarts of either plane: what was acknowledged once for a generation was.
func complete(u status.Update, live gatewayv1.GatewayStatus, at provision.Addressing, a answer) status.Update {
	u.Addresses = at.Addresses
	u.Conditions = slices.Clone(u.Conditions)
	for i, c := range u.Conditions {
		if c.Type == string(gatewayv1.GatewayConditionProgrammed) && c.Status == metav1.ConditionTrue {
			if at.Reason != "" {
				u.Conditions[i] = notProgrammed(c, at.Reason, at.Message)
				continue
			}
			u.Conditions[i] = decide(c, live.Conditions, a)
		}
	}
	u.Listeners = slices.Clone(u.Listeners)
	for i, l := range u.Listeners {
		var before []metav1.Condition
		for _, old := range live.Listeners {
			if old.Name == l.Name {
				before = old.Conditions
			}
		}
		l.Conditions = slices.Clone(l.Conditions)
		for j, c := range l.Conditions {
			if c.Type == string(gatewayv1.ListenerConditionProgrammed) && c.Status == metav1.ConditionTrue {
				l.Conditions[j] = decide(c, before, a)
			}
		}
		u.Listeners[i] = l
	}
	return u
}

// decide is a condition Programmed that translation has nothing against.
func decide(want metav1.Condition, live []metav1.Condition, a answer) metav1.Condition {
	before := meta.FindStatusCondition(live, want.Type)
	was := before != nil && before.Status == metav1.ConditionTrue
	switch {
	case a.refused != "":
		return notProgrammed(want, string(gatewayv1.GatewayReasonInvalid), a.refused)
	case a.acked, was && before.ObservedGeneration == want.ObservedGeneration:
		return want
	case was:
		return *before // of the generation before; the answer for this one is a moment away
	case a.connected > 0:
		return notProgrammed(want, string(gatewayv1.GatewayReasonPending), "no data plane has acknowledged this configuration yet")
	}
	return notProgrammed(want, string(gatewayv1.GatewayReasonPending), "no data plane is connected yet")
}

func notProgrammed(c metav1.Condition, reason, message string) metav1.Condition {
	c.Status, c.Reason, c.Message = metav1.ConditionFalse, reason, message
	return c
}
