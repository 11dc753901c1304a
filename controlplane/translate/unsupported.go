package translate

import (
	"fmt"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// unsupported names what the Gateway API has and data planes of this version do not. A route that asks for it is refused as
// a whole: without it, it would do something else than its owner wrote.
func unsupported(r *xdsv1.Resource) error {
	for i, rule := range r.GetRoute().GetHttp().GetRules() {
		if err := notForModels(fmt.Sprintf("rules[%d]", i), rule); err != nil {
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
