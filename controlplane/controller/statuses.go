package controller

import (
	"context"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/controlplane"
	"github.com/nantian-gw/nantian/controlplane/acks"
	"github.com/nantian-gw/nantian/controlplane/provision"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/schema"
	"github.com/nantian-gw/nantian/controlplane/status"
	"github.com/nantian-gw/nantian/controlplane/translate"
)

// writeStatuses is the leader's: what translation says, completed by what only a cluster knows.
func (c *Controller) writeStatuses(ctx context.Context) error {
	view := c.latest.get()
	if view == nil {
		return nil
	}
	answers, err := c.answers(ctx)
	if err != nil {
		return err
	}
	return c.writer.Sync(ctx, view.Set, c.complete(view, answers))
}

// complete adds features and SupportedVersion of classes, and addresses and Programmed of Gateways.
func (c *Controller) complete(view *controlplane.View, answers map[string]acks.Group) []status.Update {
	gateways := make(map[resources.Ref]translate.Gateway, len(view.Gateways))
	for _, g := range view.Gateways {
		gateways[resources.Ref{Group: schema.GatewayGroup, Kind: "Gateway", Namespace: g.Object.Namespace, Name: g.Object.Name}] = g
	}
	bundles := c.source.Bundles()
	out := make([]status.Update, len(view.Statuses))
	for i, u := range view.Statuses {
		if u.Ref.Kind == "GatewayClass" {
			u.Features = translate.SupportedFeatures()
			u.Conditions = supportedVersion(u.Conditions, bundles)
		}
		if g, ok := gateways[u.Ref]; ok {
			u = complete(u, live(view, g), provision.Addresses(view.Set, g), c.history.answer(g, answers[string(g.Group)]))
		}
		out[i] = u
	}
	return out
}

// live is the status of a Gateway as it is now; the one that was translated may be older.
func live(view *controlplane.View, g translate.Gateway) gatewayv1.GatewayStatus {
	if now, ok := view.Set.Gateways.Get(g.Object.Namespace, g.Object.Name); ok {
		return now.Status
	}
	return g.Object.Status
}
