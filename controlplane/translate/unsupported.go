package translate

import (
	"fmt"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// unsupported names what the Gateway API has and data planes of this version do not. A route that asks for it is refused as
// a whole: without it, it would do something else than its owner wrote.
func unsupported(r *xdsv1.Resource) error {
	for i, rule := range r.GetRoute().GetHttp().GetRules() {
		at := fmt.Sprintf("rules[%d]", i)
		if rule.SessionPersistence != nil {
			return notYet(at + ".sessionPersistence")
		}
		if err := unsupportedFilters(at, rule.Filters, rule.Backends); err != nil {
			return err
		}
	}
	for i, rule := range r.GetRoute().GetGrpc().GetRules() {
		at := fmt.Sprintf("rules[%d]", i)
		if rule.SessionPersistence != nil {
			return notYet(at + ".sessionPersistence")
		}
		if err := unsupportedFilters(at, rule.Filters, rule.Backends); err != nil {
			return err
		}
	}
	return nil
}

func unsupportedFilters(at string, filters []*xdsv1.Filter, backends []*xdsv1.WeightedBackend) error {
	for i, f := range filters {
		if f.GetExternalAuth() != nil {
			return notYet(fmt.Sprintf("%s.filters[%d].externalAuth", at, i))
		}
	}
	for i, b := range backends {
		if err := unsupportedFilters(fmt.Sprintf("%s.backendRefs[%d]", at, i), b.Filters, nil); err != nil {
			return err
		}
	}
	return nil
}

func notYet(field string) error { return fmt.Errorf("%s is not supported by this version", field) }
