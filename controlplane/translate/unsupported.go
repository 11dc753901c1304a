package translate

import (
	"cmp"
	"fmt"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// unsupported names what the Gateway API has and data planes of this version do not. A route that asks for it is refused as
// a whole: without it, it would do something else than its owner wrote.
func unsupported(r *xdsv1.Resource) error {
	for i, rule := range r.GetRoute().GetHttp().GetRules() {
		at := fmt.Sprintf("rules[%d]", i)
		if err := cmp.Or(unsupportedFilters(at, rule.Filters, rule.Backends), notForModels(at, rule)); err != nil {
			return err
		}
	}
	for i, rule := range r.GetRoute().GetGrpc().GetRules() {
		at := fmt.Sprintf("rules[%d]", i)
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

// notForModels refuses what a rule says of attempts when it leads to models: an AIBackend has its own fallback, an
// AIProvider its own timeouts, and two rules for one thing would contradict each other.
func notForModels(at string, rule *xdsv1.HTTPRule) error {
	for _, b := range rule.Backends {
		if b.GetProvider() == "" && b.GetModels() == "" {
			continue
		}
		switch {
		case rule.SessionPersistence != nil:
			return fmt.Errorf("%s.sessionPersistence is not for models", at)
		case rule.Retry != nil:
			return fmt.Errorf("%s.retry is not for models: use the fallback of an AIBackend", at)
		case rule.BackendTimeout.AsDuration() > 0:
			return fmt.Errorf("%s.timeouts.backendRequest is not for models: use the timeouts of the AIProvider", at)
		}
	}
	return nil
}

func notYet(field string) error { return fmt.Errorf("%s is not supported by this version", field) }
