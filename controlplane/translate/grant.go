package translate

import (
	"fmt"
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/controlplane/resources"
)

// reasonRefNotPermitted is the same on listeners, routes and our kinds.
const reasonRefNotPermitted = "RefNotPermitted"

// permit says whether an object may refer to another one: in its own namespace always, elsewhere when a ReferenceGrant
// there allows it.
func (t *translator) permit(from, to resources.Ref) *fault {
	if from.Namespace == to.Namespace {
		return nil
	}
	for _, g := range t.in.Grants(to.Namespace) {
		if grants(g, from, to) {
			return nil
		}
	}
	return &fault{reasonRefNotPermitted, fmt.Sprintf("no ReferenceGrant in %s allows %s of %s to refer to %s", to.Namespace, from.Kind, from.Namespace, to)}
}

func grants(g *gatewayv1.ReferenceGrant, from, to resources.Ref) bool {
	return slices.ContainsFunc(g.Spec.From, func(f gatewayv1.ReferenceGrantFrom) bool {
		return string(f.Group) == from.Group && string(f.Kind) == from.Kind && string(f.Namespace) == from.Namespace
	}) && slices.ContainsFunc(g.Spec.To, func(o gatewayv1.ReferenceGrantTo) bool {
		return string(o.Group) == to.Group && string(o.Kind) == to.Kind && (o.Name == nil || string(*o.Name) == to.Name)
	})
}
