package xdsv1

import "time"

func (v *validator) balancing(lb *LoadBalancing) {
	v.enum("policy", lb.GetPolicy())
	v.duration("connect_timeout", lb.GetConnectTimeout())
	v.duration("slow_start", lb.GetSlowStart())
	v.percent("min_healthy_percent", lb.GetMinHealthyPercent())
	v.session(lb.GetSessionPersistence())
	if (lb.GetPolicy() == LoadBalancing_CONSISTENT_HASH) != (lb.GetHash() != nil) {
		v.fail("hash", "is set for CONSISTENT_HASH, and only there")
	}
	if lb.GetHash() != nil {
		v.in("hash", func() { v.hashKey(lb.GetHash()) })
	}
	if lb.GetRetryBudget() != nil {
		v.in("retry_budget", func() { v.retryBudget(lb.GetRetryBudget()) })
	}
	if lb.GetOutlier() != nil {
		v.in("outlier", func() { v.outlier(lb.GetOutlier()) })
	}
	if lb.GetHealthCheck() != nil {
		v.in("health_check", func() { v.healthCheck(lb.GetHealthCheck()) })
	}
}

func (v *validator) percent(field string, p uint32) {
	if p > 100 {
		v.fail(field, "%d is more than 100", p)
	}
}

func (v *validator) hashKey(h *HashKey) {
	v.enum("source", h.GetSource())
	named := h.GetSource() == HashKey_HEADER || h.GetSource() == HashKey_COOKIE
	if named != (h.GetName() != "") {
		v.fail("name", "is set for HEADER and COOKIE, and only there")
	}
	if h.GetName() != "" {
		v.token("name", h.GetName())
	}
}

// least is a duration that has to be there and may not be shorter.
func (v *validator) least(field string, d interface{ AsDuration() time.Duration }, min time.Duration) {
	if d.AsDuration() < min {
		v.fail(field, "%s is less than %s", d.AsDuration(), min)
	}
}

func (v *validator) retryBudget(b *RetryBudget) {
	v.percent("percent", b.GetPercent())
	v.duration("interval", b.GetInterval())
	v.duration("min_interval", b.GetMinInterval())
	v.least("interval", b.GetInterval(), time.Second)
	v.least("min_interval", b.GetMinInterval(), time.Second)
}

func (v *validator) outlier(o *Outlier) {
	v.duration("base_ejection_time", o.GetBaseEjectionTime())
	v.duration("max_ejection_time", o.GetMaxEjectionTime())
	v.least("base_ejection_time", o.GetBaseEjectionTime(), time.Millisecond)
	v.least("max_ejection_time", o.GetMaxEjectionTime(), o.GetBaseEjectionTime().AsDuration())
	v.percent("max_ejection_percent", o.GetMaxEjectionPercent())
	if o.GetConsecutive_5Xx() == 0 && o.GetConsecutiveGatewayErrors() == 0 {
		v.fail("", "looks at nothing")
	}
}

func (v *validator) healthCheck(h *HealthCheck) {
	v.duration("interval", h.GetInterval())
	v.duration("timeout", h.GetTimeout())
	v.least("interval", h.GetInterval(), 100*time.Millisecond)
	v.least("timeout", h.GetTimeout(), time.Millisecond)
	v.optionalPort("port", h.GetPort())
	if h.GetUnhealthyThreshold() == 0 || h.GetHealthyThreshold() == 0 {
		v.fail("", "a threshold is zero")
	}
	switch m := h.GetKind().(type) {
	case *HealthCheck_Http:
		v.absolutePath("http.path", m.Http.GetPath())
		if m.Http.GetHost() != "" {
			v.headerValue("http.host", m.Http.GetHost())
		}
		for _, s := range m.Http.GetStatuses() {
			if s < 200 || s > 599 {
				v.fail("http.statuses", "%d is not a status from 200 to 599", s)
			}
		}
	case *HealthCheck_Tcp, *HealthCheck_Grpc:
	default:
		v.fail("kind", "is not set")
	}
}
