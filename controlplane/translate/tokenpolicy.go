package translate

import (
	"fmt"
	"strconv"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/crds/v1alpha1"
)

func (t *translator) buildTokenPolicies() {
	for _, object := range t.in.TokenPolicies.All() {
		spec := &object.Spec
		p := &policy{
			object: object, targets: spec.TargetRefs,
			ref:   resources.Ref{Group: v1alpha1.GroupName, Kind: v1alpha1.KindTokenPolicy, Namespace: object.Namespace, Name: object.Name},
			kinds: []string{"Gateway", "HTTPRoute", v1alpha1.KindAIBackend, v1alpha1.KindAIProvider},
		}
		limits := &xdsv1.TokenLimit{OnLimit: onLimit(spec.OnLimit), Queue: tokenQueue(spec.Queue)}
		if spec.OnStream == v1alpha1.OnStreamCut {
			limits.OnStream = xdsv1.TokenLimit_CUT
		}
		if spec.FailureMode == v1alpha1.FailureClosed {
			limits.FailureMode = xdsv1.TokenLimit_CLOSED
		}
		for i := range spec.Limits {
			limits.Limits = append(limits.Limits, p.limit(i, &spec.Limits[i]))
		}
		p.wire = &xdsv1.Policy{
			Key: xdsv1.PolicyKey(xdsv1.PolicyToken, object.Namespace, object.Name), Namespace: object.Namespace, Name: object.Name,
			Kind: &xdsv1.Policy_TokenLimit{TokenLimit: limits},
		}
		t.finishPolicy(p)
	}
}

func onLimit(o v1alpha1.OnLimit) xdsv1.TokenLimit_OnLimit {
	switch o {
	case v1alpha1.OnLimitQueue:
		return xdsv1.TokenLimit_QUEUE
	case v1alpha1.OnLimitWarn:
		return xdsv1.TokenLimit_WARN
	}
	return xdsv1.TokenLimit_REJECT
}

func tokenQueue(q *v1alpha1.TokenQueue) *xdsv1.LimitQueue {
	if q == nil {
		return nil
	}
	return &xdsv1.LimitQueue{Size: uint32(max(q.Size, 0)), Timeout: duration(q.Timeout)}
}

// limit translates one limit.
func (p *policy) limit(i int, in *v1alpha1.TokenLimit) *xdsv1.Limit {
	out := &xdsv1.Limit{Name: in.Name, Unit: limitUnit(in.Unit), Models: in.Models}
	var err error
	if out.Limit, err = amount(in.Unit, in.Limit); err != nil {
		p.invalid.add(&fault{string(gatewayv1.PolicyReasonInvalid), fmt.Sprintf("spec.limits[%d].limit: %v", i, err)})
	}
	if in.Window != nil {
		out.Window = &xdsv1.Limit_Sliding{Sliding: duration(in.Window)}
	} else if c := in.Calendar; c != nil {
		out.Window = &xdsv1.Limit_Calendar{Calendar: &xdsv1.Calendar{Period: calendarPeriod(c.Period), TimeZone: c.TimeZone}}
	}
	for k := range in.Key {
		out.Key = append(out.Key, limitKey(&in.Key[k]))
	}
	return out
}

// amount reads a limit in its unit, of Cost in billionths of a US dollar.
func amount(unit v1alpha1.LimitUnit, a v1alpha1.Amount) (int64, error) {
	if unit == v1alpha1.UnitCost {
		return nanos(string(a))
	}
	n, err := strconv.ParseInt(string(a), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", string(a))
	}
	return n, nil
}

func limitUnit(u v1alpha1.LimitUnit) xdsv1.LimitUnit {
	switch u {
	case v1alpha1.UnitRequests:
		return xdsv1.LimitUnit_REQUESTS
	case v1alpha1.UnitTokens:
		return xdsv1.LimitUnit_TOKENS
	case v1alpha1.UnitInputTokens:
		return xdsv1.LimitUnit_INPUT_TOKENS
	case v1alpha1.UnitOutputTokens:
		return xdsv1.LimitUnit_OUTPUT_TOKENS
	case v1alpha1.UnitCost:
		return xdsv1.LimitUnit_COST
	}
	return xdsv1.LimitUnit_LIMIT_UNIT_UNSPECIFIED
}

func calendarPeriod(p v1alpha1.CalendarPeriod) xdsv1.Calendar_Period {
	switch p {
	case v1alpha1.PeriodDay:
		return xdsv1.Calendar_DAY
	case v1alpha1.PeriodWeek:
		return xdsv1.Calendar_WEEK
	case v1alpha1.PeriodMonth:
		return xdsv1.Calendar_MONTH
	}
	return xdsv1.Calendar_PERIOD_UNSPECIFIED
}

func limitKey(k *v1alpha1.LimitKey) *xdsv1.LimitKey {
	switch {
	case k.ClientIP != nil:
		return &xdsv1.LimitKey{Source: xdsv1.LimitKey_CLIENT_IP}
	case k.APIKey != nil:
		return &xdsv1.LimitKey{Source: xdsv1.LimitKey_API_KEY}
	case k.JWTClaim != "":
		return &xdsv1.LimitKey{Source: xdsv1.LimitKey_JWT_CLAIM, Name: k.JWTClaim}
	case k.Header != "":
		return &xdsv1.LimitKey{Source: xdsv1.LimitKey_HEADER, Name: string(k.Header)}
	case k.Model != nil:
		return &xdsv1.LimitKey{Source: xdsv1.LimitKey_MODEL}
	case k.Provider != nil:
		return &xdsv1.LimitKey{Source: xdsv1.LimitKey_PROVIDER}
	case k.Route != nil:
		return &xdsv1.LimitKey{Source: xdsv1.LimitKey_ROUTE}
	case k.User != nil:
		return &xdsv1.LimitKey{Source: xdsv1.LimitKey_USER}
	}
	return &xdsv1.LimitKey{}
}
