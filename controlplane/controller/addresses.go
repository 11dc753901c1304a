package controller

import (
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/translate"
)

// addressing is where a Gateway is reached, or why it is not.
type addressing struct {
	addresses []gatewayv1.GatewayStatusAddress
	// reason and message of Programmed; empty: there is an address.
	reason, message string
}

// addresses finds where a Gateway is reached.
func addresses(_ *resources.Set, g translate.Gateway) addressing {
	var out addressing
	for _, a := range g.Object.Spec.Addresses {
		if a.Value != "" {
			out.addresses = append(out.addresses, gatewayv1.GatewayStatusAddress{Type: ptr.To(ptr.Deref(a.Type, gatewayv1.IPAddressType)), Value: a.Value})
		}
	}
	return out
}
