package controller

import (
	"context"

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

// complete adds features of classes, and addresses and Programmed of Gateways.
func (c *Controller) complete(view *controlplane.View, answers map[string]acks.Group) []status.Update {
	gateways := make(map[resources.Ref]translate.Gateway, len(view.Gateways))
	for _, g := range view.Gateways {
		gateways[resources.Ref{Group: schema.GatewayGroup, Kind: "Gateway", Namespace: g.Object.Namespace, Name: g.Object.Name}] = g
	}
	out := make([]status.Update, len(view.Statuses))
	for i, u := range view.Statuses {
		if u.Ref.Kind == "GatewayClass" {
			u.Features = translate.SupportedFeatures()
		}
		if g, ok := gateways[u.Ref]; ok {
			u = complete(u, g, provision.Addresses(view.Set, g), c.history.answer(g, answers[string(g.Group)]))
		}
		out[i] = u
	}
	return out
}
