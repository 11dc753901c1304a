package xdsv1

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Validate says whether a data plane can run r: keys well formed, enums known, regular expressions and certificates
// readable. The control plane calls it before it publishes and the data plane before it compiles. The error joins one line
// for each fault; each names the key and the field.
func Validate(r *Resource) error {
	v := &validator{key: KeyOf(r)}
	switch m := r.GetKind().(type) {
	case *Resource_Listener:
		v.named(KindListener, KindListenerSet)
		v.listener(m.Listener)
	case *Resource_Route:
		v.named(KindRoute)
		v.route(m.Route)
	case *Resource_Backend:
		v.named(KindBackend)
		v.backend(m.Backend)
	case *Resource_Policy:
		v.named(KindPolicy)
		v.policy(m.Policy)
	case *Resource_Secret:
		v.named(KindSecret)
		v.secret(m.Secret)
	case *Resource_Provider:
		v.named(KindProvider)
		v.provider(m.Provider)
	case *Resource_ModelMap:
		v.named(KindModels)
		v.modelMap(m.ModelMap)
	case *Resource_Runtime:
		v.named(KindRuntime)
		v.runtime(m.Runtime)
	case *Resource_Caller:
		v.named(KindCaller)
		v.caller(m.Caller)
	default:
		return errors.New("resource: its kind is missing, or not known to this version")
	}
	return v.err()
}

// ValidateEndpoints is Validate for Endpoints.
func ValidateEndpoints(e *Endpoints) error {
	v := &validator{key: e.GetKey()}
	v.named(KindBackend)
	each(v, "endpoints", e.GetEndpoints(), func(v *validator, e *Endpoint) {
		v.address("address", e.GetAddress())
		v.port("port", e.GetPort())
	})
	return v.err()
}

// maxFaults bounds what is told of one resource; a hostile one could have millions.
const maxFaults = 20

// validator gathers the faults of one resource. path is where it stands, for messages.
type validator struct {
	key    string
	path   []step
	faults []error
}

// step is one element of a field path; index is negative for a field that is not a list.
type step struct {
	name  string
	index int
}

func (v *validator) err() error { return errors.Join(v.faults...) }

// fail notes a fault of the field below the current path; the field may be empty.
func (v *validator) fail(field, format string, args ...any) {
	if len(v.faults) >= maxFaults {
		return
	}
	var b strings.Builder
	for _, s := range v.path {
		b.WriteString(s.name)
		if s.index >= 0 {
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		}
		b.WriteByte('.')
	}
	b.WriteString(field)
	where := strings.TrimSuffix(b.String(), ".")
	v.faults = append(v.faults, fmt.Errorf("%s: %s: "+format, append([]any{v.key, where}, args...)...))
}

// in runs check with name appended to the path.
func (v *validator) in(name string, check func()) { v.step(step{name, -1}, check) }

func (v *validator) step(s step, check func()) {
	v.path = append(v.path, s)
	check()
	v.path = v.path[:len(v.path)-1]
}

// each runs check on every element of a list.
func each[T any](v *validator, name string, list []T, check func(*validator, T)) {
	for i, e := range list {
		v.step(step{name, i}, func() { check(v, e) })
	}
}

// named says whether the resource's own key is of one of the kinds.
func (v *validator) named(kinds ...KeyKind) { v.ref("key", v.key, kinds...) }

// ref says whether key is well formed and of one of the kinds.
func (v *validator) ref(field, key string, kinds ...KeyKind) {
	k, err := ParseKey(key)
	if err != nil {
		v.fail(field, "%w", err)
		return
	}
	for _, kind := range kinds {
		if k.Kind == kind {
			return
		}
	}
	v.fail(field, "%q is not the key of a %s", key, kinds[0])
}

// optionalRef is ref for a field that may be empty.
func (v *validator) optionalRef(field, key string, kinds ...KeyKind) {
	if key != "" {
		v.ref(field, key, kinds...)
	}
}

func (v *validator) runtime(r *Runtime) {
	for i, cidr := range r.GetTrustedProxies() {
		v.step(step{"trusted_proxies", i}, func() { v.cidr(cidr) })
	}
	v.in("limits", func() {
		v.duration("head_timeout", r.GetLimits().GetHeadTimeout())
		v.duration("idle_timeout", r.GetLimits().GetIdleTimeout())
	})
	if r.GetRateLimitStore() != nil {
		v.in("rate_limit_store", func() { v.rateLimitStore(r.GetRateLimitStore()) })
	}
	each(v, "prices", r.GetPrices(), func(v *validator, p *CataloguePrice) {
		v.pattern("model", p.GetModel())
		v.price(p.GetPrice())
	})
}
