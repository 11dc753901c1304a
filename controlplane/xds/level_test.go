package xds

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
)

const (
	http   = "listener/a/gw/http"
	https  = "listener/a/gw/https"
	tcp    = "listener/a/gw/tcp"
	udp    = "listenerset/a/set/udp"
	dns    = "backend/a/dns/53-udp"
	plain  = "backend/a/plain/80"
	secure = "backend/a/secure/443"
	auth   = "backend/a/auth/80"
)

// rich is a snapshot with nearly everything in it that the wire can say.
func rich(t *testing.T) *snapshot.Snapshot {
	t.Helper()
	listener := func(key string, port uint32, p xdsv1.Protocol) *xdsv1.Resource {
		return &xdsv1.Resource{Kind: &xdsv1.Resource_Listener{Listener: &xdsv1.Listener{Key: key, Gateway: "a/gw", Name: key[len("listener/a/gw/"):], Port: port, Protocol: p}}}
	}
	h := listener(https, 443, xdsv1.Protocol_HTTPS)
	h.GetListener().Hostname = "*.example.com"
	h.GetListener().Tls = &xdsv1.ListenerTLS{Mode: xdsv1.ListenerTLS_TERMINATE, Certificates: []string{"secret/a/cert"}, MinVersion: "1.3"}
	l4 := listener(tcp, 5000, xdsv1.Protocol_TCP)
	l4.GetListener().ProxyProtocol, l4.GetListener().ClientCertificate = true, "secret/a/client"
	datagrams := backend(dns, nil)
	datagrams.GetBackend().Protocol = xdsv1.BackendProtocol_DATAGRAM
	return snap(t, listener(http, 80, xdsv1.Protocol_HTTP), h, l4, listener(udp, 5000, xdsv1.Protocol_UDP), datagrams,
		richRoute("http", &xdsv1.Route_Http{Http: &xdsv1.HTTPRules{Rules: []*xdsv1.HTTPRule{richRule(), plainRule()}}}, http, https),
		richRoute("grpc", &xdsv1.Route_Grpc{Grpc: &xdsv1.GRPCRules{Rules: []*xdsv1.GRPCRule{{
			Matches: []*xdsv1.GRPCMatch{{Service: "a.B", Method: "C"}}, Backends: []*xdsv1.WeightedBackend{to(secure)},
		}}}}, https),
		richRoute("tcp", &xdsv1.Route_L4{L4: &xdsv1.L4Rules{Backends: []*xdsv1.WeightedBackend{to(plain)}}}, tcp),
		richRoute("udp", &xdsv1.Route_L4{L4: &xdsv1.L4Rules{Backends: []*xdsv1.WeightedBackend{to(dns)}, IdleTimeout: durationpb.New(1e9)}}, udp),
		balanced(plain), backend(auth, nil), backend(secure, &xdsv1.BackendTLS{Hostname: "x", SystemRoots: true, ClientCertificate: "secret/a/client", H2: true}),
		opaque("secret/a/cert"), opaque("secret/a/client"), opaque("secret/a/key"),
		&xdsv1.Resource{Kind: &xdsv1.Resource_Provider{Provider: &xdsv1.Provider{
			Key: "provider/a/p", Namespace: "a", Name: "p", Schema: xdsv1.Schema_ANTHROPIC,
			Endpoint: &xdsv1.ProviderEndpoint{Kind: &xdsv1.ProviderEndpoint_Backend{Backend: plain}},
			Auth:     &xdsv1.ProviderAuth{Kind: &xdsv1.ProviderAuth_ApiKey{ApiKey: &xdsv1.APIKey{Secret: "secret/a/key", DataKey: "k"}}},
			Models:   []*xdsv1.ProviderModel{{Name: "m", Price: &xdsv1.Price{Input: 1}}}, Headers: map[string]string{"X-A": "b"},
		}}},
		&xdsv1.Resource{Kind: &xdsv1.Resource_ModelMap{ModelMap: &xdsv1.ModelMap{Key: "models/a/m", Namespace: "a", Name: "m", Models: []*xdsv1.Model{{
			Name: "*", Targets: []*xdsv1.ModelTarget{{Provider: "provider/a/p", Weight: 1}},
			Fallback: &xdsv1.Fallback{When: []xdsv1.Fallback_When{xdsv1.Fallback_TIMEOUT}},
		}}}}},
		policy(&xdsv1.Policy{Key: "policy/token/a/p", Targets: []*xdsv1.Target{{Key: "route/grpc/a/grpc"}}, Kind: &xdsv1.Policy_TokenLimit{TokenLimit: richLimit()}}),
		policy(&xdsv1.Policy{Key: "policy/auth/a/p", Targets: []*xdsv1.Target{{Key: http, Gateway: true}}, Kind: &xdsv1.Policy_Auth{Auth: richAuth()}}),
		policy(&xdsv1.Policy{Key: "policy/guard/a/p", Targets: []*xdsv1.Target{{Key: "provider/a/p"}}, Kind: &xdsv1.Policy_PromptGuard{PromptGuard: richGuard()}}),
		policy(&xdsv1.Policy{Key: "policy/route/a/p", Targets: []*xdsv1.Target{{Key: "route/http/a/http"}}, Kind: &xdsv1.Policy_Traffic{Traffic: richTraffic()}}),
		&xdsv1.Resource{Kind: &xdsv1.Resource_Caller{Caller: &xdsv1.Caller{
			Key: "caller/a/c", Namespace: "a", Name: "c", KeySha256: make([]byte, 32), Policies: []string{"policy/auth/a/p"},
			Models: []string{"m"}, Metadata: map[string]string{"team": "a"},
		}}},
		&xdsv1.Resource{Kind: &xdsv1.Resource_Runtime{Runtime: &xdsv1.Runtime{Key: "runtime", Limits: &xdsv1.Limits{MaxRequestBody: 1 << 20}, AccessLog: &xdsv1.AccessLog{Disabled: true},
			RateLimitStore: &xdsv1.RateLimitStore{Addresses: []string{"redis:6379"}, SentinelPrimary: "m", Database: 1, Secret: "secret/a/key", SentinelSecret: "secret/a/key",
				Tls: &xdsv1.StoreTLS{ServerName: "redis", ClientCertificate: "secret/a/client"}, KeyPrefix: "p:", Replicas: 2},
			Prices: []*xdsv1.CataloguePrice{{Model: "m-*", Price: &xdsv1.Price{Output: 1}}}}}},
	)
}

func balanced(key string) *xdsv1.Resource {
	r := backend(key, nil)
	second := durationpb.New(time.Second)
	r.GetBackend().ProxyProtocol = xdsv1.Backend_V2
	r.GetBackend().LoadBalancing = &xdsv1.LoadBalancing{
		Policy: xdsv1.LoadBalancing_CONSISTENT_HASH, Hash: &xdsv1.HashKey{Source: xdsv1.HashKey_HEADER, Name: "x-user"},
		MaxInFlight: 1, MaxRequests: 1, ConnectTimeout: second, MinHealthyPercent: 1, SlowStart: second,
		RetryBudget: &xdsv1.RetryBudget{Percent: 1, Interval: second, MinRetries: 1, MinInterval: second},
		Outlier:     &xdsv1.Outlier{Consecutive_5Xx: 1, ConsecutiveGatewayErrors: 1, BaseEjectionTime: second, MaxEjectionTime: second, MaxEjectionPercent: 1},
		HealthCheck: &xdsv1.HealthCheck{Interval: second, Timeout: second, UnhealthyThreshold: 1, HealthyThreshold: 1, Port: 1,
			Kind: &xdsv1.HealthCheck_Http{Http: &xdsv1.HTTPCheck{Path: "/", Host: "a", Statuses: []uint32{200}}}},
		SessionPersistence: &xdsv1.SessionPersistence{Kind: xdsv1.SessionPersistence_COOKIE, Name: "s", AbsoluteTimeout: second, Permanent: true},
	}
	return r
}

func policy(p *xdsv1.Policy) *xdsv1.Resource {
	return &xdsv1.Resource{Kind: &xdsv1.Resource_Policy{Policy: p}}
}

func richLimit() *xdsv1.TokenLimit {
	return &xdsv1.TokenLimit{
		Limits: []*xdsv1.Limit{
			{Name: "minute", Unit: xdsv1.LimitUnit_TOKENS, Limit: 10, Window: &xdsv1.Limit_Sliding{Sliding: durationpb.New(time.Minute)}, Models: []string{"m"},
				Key: []*xdsv1.LimitKey{{Source: xdsv1.LimitKey_HEADER, Name: "x-team"}}},
			{Name: "month", Unit: xdsv1.LimitUnit_COST, Limit: 10, Window: &xdsv1.Limit_Calendar{Calendar: &xdsv1.Calendar{Period: xdsv1.Calendar_MONTH, TimeZone: "UTC"}}},
		},
		OnLimit: xdsv1.TokenLimit_QUEUE, OnStream: xdsv1.TokenLimit_CUT, FailureMode: xdsv1.TokenLimit_CLOSED,
		Queue: &xdsv1.LimitQueue{Size: 1, Timeout: durationpb.New(time.Second)},
	}
}

func richTraffic() *xdsv1.Traffic {
	second := durationpb.New(time.Second)
	return &xdsv1.Traffic{
		RequestTimeout: second, BackendTimeout: second, IdleTimeout: second, MaxRequestBody: proto.Uint64(1), MaxRequestHead: 1, BufferRequest: true,
		ConnectionRequests: 1, ConnectionAge: second, Requests: &xdsv1.TokenLimit{FailureMode: xdsv1.TokenLimit_CLOSED, Limits: []*xdsv1.Limit{
			{Name: "second", Unit: xdsv1.LimitUnit_REQUESTS, Limit: 1, Window: &xdsv1.Limit_Sliding{Sliding: second}, Key: []*xdsv1.LimitKey{{Source: xdsv1.LimitKey_CLIENT_IP}}},
		}},
	}
}

func richAuth() *xdsv1.Auth {
	return &xdsv1.Auth{ApiKeys: true, ApiKeyHeader: "x-key", Overridable: true, Jwt: []*xdsv1.JWT{{
		Issuer: "i", Audiences: []string{"a"}, Header: "x-token", ModelsClaim: "models",
		Jwks: &xdsv1.JWT_Remote{Remote: &xdsv1.RemoteJWKS{Url: "https://idp.example.com/keys", Cache: durationpb.New(time.Minute)}},
	}}}
}

func richGuard() *xdsv1.PromptGuard {
	return &xdsv1.PromptGuard{Rules: []*xdsv1.GuardRule{{
		Name: "all", Builtin: []string{"Email"}, Patterns: []*xdsv1.GuardPattern{{Expression: "a+", MaxLength: 8}}, Keywords: []string{"k"},
		Topics: []*xdsv1.GuardTopic{{Name: "t", Phrases: []string{"p"}}}, Request: true, Response: true, Action: xdsv1.GuardAction_HASH, Threshold: 5,
		HashSecret: "secret/a/key", HashDataKey: "k", Regions: []string{"DE"},
		Webhook: &xdsv1.GuardWebhook{Endpoint: &xdsv1.GuardWebhook_Backend{Backend: secure}, Path: "/x", Timeout: durationpb.New(time.Second), Secret: "secret/a/key", DataKey: "k", Model: "m"},
	}}}
}

func to(backend string) *xdsv1.WeightedBackend {
	return &xdsv1.WeightedBackend{Weight: 1, Target: &xdsv1.WeightedBackend_Backend{Backend: backend}}
}

func backend(key string, tls *xdsv1.BackendTLS) *xdsv1.Resource {
	return &xdsv1.Resource{Kind: &xdsv1.Resource_Backend{Backend: &xdsv1.Backend{
		Key: key, Protocol: xdsv1.BackendProtocol_HTTP1, Tls: tls, Kind: &xdsv1.Backend_Endpoints{Endpoints: &xdsv1.EndpointsRef{}},
		LoadBalancing: &xdsv1.LoadBalancing{Policy: xdsv1.LoadBalancing_LEAST_REQUEST, MaxInFlight: 5},
	}}}
}

func opaque(key string) *xdsv1.Resource {
	return &xdsv1.Resource{Kind: &xdsv1.Resource_Secret{Secret: &xdsv1.Secret{
		Key: key, Kind: &xdsv1.Secret_Opaque{Opaque: &xdsv1.Opaque{Data: map[string][]byte{"k": []byte("v")}}},
	}}}
}

func richRoute(kind string, rules any, listeners ...string) *xdsv1.Resource {
	r := &xdsv1.Route{Key: xdsv1.RouteKey(kind, "a", kind), Namespace: "a", Name: kind}
	for _, l := range listeners {
		r.Parents = append(r.Parents, &xdsv1.Parent{Listener: l, Hostnames: []string{"a.example.com"}})
	}
	switch m := rules.(type) {
	case *xdsv1.Route_Http:
		r.Rules = m
	case *xdsv1.Route_Grpc:
		r.Rules = m
	case *xdsv1.Route_L4:
		r.Rules = m
	}
	return &xdsv1.Resource{Kind: &xdsv1.Resource_Route{Route: r}}
}

func richRule() *xdsv1.HTTPRule {
	return &xdsv1.HTTPRule{
		Name: "rich",
		Matches: []*xdsv1.HTTPMatch{{
			Path: &xdsv1.PathMatch{Kind: xdsv1.PathMatch_EXACT, Value: "/a"}, Headers: []*xdsv1.ValueMatch{{Name: "x", Value: "y", Regex: true}}, Method: "POST",
		}},
		Filters: []*xdsv1.Filter{
			{Kind: &xdsv1.Filter_RequestHeaders{RequestHeaders: &xdsv1.HeaderModifier{Set: []*xdsv1.Header{{Name: "a", Value: "b"}}, Remove: []string{"c"}}}},
			{Kind: &xdsv1.Filter_Mirror{Mirror: &xdsv1.Mirror{Backend: plain, Numerator: 1, Denominator: 2}}},
			{Kind: &xdsv1.Filter_ExternalAuth{ExternalAuth: &xdsv1.ExternalAuth{Backend: auth, PathPrefix: "/auth"}}},
		},
		Backends: []*xdsv1.WeightedBackend{to(plain), {Weight: 1, Target: &xdsv1.WeightedBackend_Models{Models: "models/a/m"}}, {Weight: 1, Target: &xdsv1.WeightedBackend_Provider{Provider: "provider/a/p"}}},
		Retry:    &xdsv1.Retry{Attempts: 2, Backoff: durationpb.New(1e6)},
	}
}

func plainRule() *xdsv1.HTTPRule {
	return &xdsv1.HTTPRule{Backends: []*xdsv1.WeightedBackend{to(plain)}}
}

// names are the fields and enum values of the messages of the wire.
func names() (out []protoreflect.FullName) {
	for _, file := range []protoreflect.FileDescriptor{
		xdsv1.File_ai_proto, xdsv1.File_auth_proto, xdsv1.File_backend_proto, xdsv1.File_guard_proto, xdsv1.File_token_proto, xdsv1.File_traffic_proto, xdsv1.File_listener_proto, xdsv1.File_policy_proto,
		xdsv1.File_resource_proto, xdsv1.File_route_proto, xdsv1.File_runtime_proto, xdsv1.File_secret_proto,
	} {
		out = append(out, namesOf(file.Messages(), file.Enums())...)
	}
	return out
}

func namesOf(ms protoreflect.MessageDescriptors, es protoreflect.EnumDescriptors) (out []protoreflect.FullName) {
	for i := range es.Len() {
		for j := range es.Get(i).Values().Len() {
			out = append(out, es.Get(i).Values().Get(j).FullName())
		}
	}
	for i := range ms.Len() {
		m := ms.Get(i)
		for j := range m.Fields().Len() {
			out = append(out, m.Fields().Get(j).FullName())
		}
		out = append(out, namesOf(m.Messages(), m.Enums())...)
	}
	return out
}

// first are fields that every data plane knows, since closing is said with them.
var first = map[protoreflect.FullName]bool{
	"nantian.gateway.v1.HTTPRule.filters": true, "nantian.gateway.v1.PathMatch.kind": true, "nantian.gateway.v1.Runtime.key": true,
}

// Whichever field or value is taken to be new, an older data plane gets nothing of it, nothing invalid, nothing that leads
// nowhere; and a rule never does less than the whole of what it said, unless it fails.
func TestAnythingMayBeNew(t *testing.T) {
	s := rich(t)
	for key, r := range s.Resources {
		if err := xdsv1.Validate(r); err != nil && r.GetListener().GetKey() != https {
			t.Fatalf("%s: %v", key, err)
		}
	}
	all := names()
	if len(all) < 150 {
		t.Fatalf("only %d fields", len(all))
	}
	hidden := 0
	for _, name := range all {
		if first[name] {
			continue
		}
		l := lens{level: 1, since: func(n protoreflect.FullName) uint32 {
			if n == name {
				return 2
			}
			return 1
		}}
		shown, withheld, err := l.reduce(s)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(withheld) > 0 {
			hidden++
		}
		if err := sound(l, s, shown); err != nil {
			t.Errorf("%s is new: %v", name, err)
		}
	}
	if hidden < 60 {
		t.Errorf("only %d of %d names were in the snapshot", hidden, len(all))
	}
}

func sound(l lens, s, shown *snapshot.Snapshot) error {
	for key, r := range shown.Resources {
		if l.newer(r.ProtoReflect(), false) {
			return fmt.Errorf("%s still holds it", key)
		}
		if err := xdsv1.Validate(r); err != nil {
			return fmt.Errorf("%s is invalid: %w", key, err)
		}
		for _, ref := range snapshot.References(r) {
			if shown.Resources[ref] == nil {
				return fmt.Errorf("%s leads to %s, which is not there", key, ref)
			}
		}
		for _, p := range r.GetRoute().GetParents() {
			if shown.Resources[p.GetListener()] == nil {
				return fmt.Errorf("%s is on %s, which is not there", key, p.GetListener())
			}
		}
		if err := unguarded(s, shown, key); err != nil {
			return err
		}
		if err := closedWhereChanged(l, s.Resources[key].GetRoute(), r.GetRoute()); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

// unguarded says whether a resource is still there that has lost a policy.
func unguarded(s, shown *snapshot.Snapshot, key string) error {
	for name, r := range s.Resources {
		for _, t := range r.GetPolicy().GetTargets() {
			if t.GetKey() == key && shown.Resources[name] == nil && shown.Resources[key].GetProvider() != nil {
				return fmt.Errorf("%s is used without %s", key, name)
			}
		}
	}
	return nil
}

// closedWhereChanged says whether rules that cannot be understood whole fail.
func closedWhereChanged(l lens, before, after *xdsv1.Route) error {
	for i, rule := range before.GetHttp().GetRules() {
		if !l.newer(rule.ProtoReflect(), false) {
			continue
		}
		got := after.GetHttp().GetRules()
		if len(got) == 1 { // one that covers all
			i = 0
		}
		if len(got[i].GetBackends()) > 0 || got[i].GetFilters()[0].GetInvalid() == "" {
			return fmt.Errorf("rule %d goes on as %v", i, got[i])
		}
	}
	return nil
}

// What is closed closes all that leads there: an authorisation that cannot be asked fails its rule, a mirror just stops.
func TestClosedFilters(t *testing.T) {
	f := func(policyOn string, check func(rules []*xdsv1.HTTPRule) bool) {
		t.Helper()
		s := rich(t)
		s.Resources["policy/token/a/p"].GetPolicy().Targets[0].Key = policyOn
		delete(s.Resources, "policy/auth/a/p")
		delete(s.Resources, "policy/guard/a/p")
		delete(s.Resources, "policy/route/a/p")
		l := lens{level: 1, since: func(n protoreflect.FullName) uint32 {
			if n == "nantian.gateway.v1.Resource.policy" {
				return 2
			}
			return 1
		}}
		shown, _, err := l.reduce(s)
		if err != nil {
			t.Fatal(err)
		}
		if !check(shown.Resources["route/http/a/http"].GetRoute().GetHttp().GetRules()) {
			t.Errorf("policy on %s: %v", policyOn, shown.Resources["route/http/a/http"])
		}
	}
	f(auth, func(rules []*xdsv1.HTTPRule) bool {
		return rules[0].GetFilters()[2].GetInvalid() != "" && len(rules[1].GetFilters()) == 0 && rules[1].GetBackends()[0].GetBackend() == plain
	})
	f(plain, func(rules []*xdsv1.HTTPRule) bool {
		b := rules[0].GetBackends() // the provider is reached through the backend
		return rules[0].GetFilters()[1].GetMirror().GetBackend() == "" && rules[0].GetFilters()[2].GetExternalAuth() != nil &&
			b[0].GetInvalid() != "" && b[1].GetModels() != "" && b[2].GetInvalid() != "" && rules[1].GetBackends()[0].GetInvalid() != ""
	})
	f("secret/a/key", func(rules []*xdsv1.HTTPRule) bool {
		b := rules[0].GetBackends()
		return b[0].GetBackend() == plain && b[2].GetInvalid() != ""
	})
	f("runtime", func(rules []*xdsv1.HTTPRule) bool { return len(rules[0].GetBackends()) == 3 })
}

// Endpoints lose what is newer, and no more.
func TestEndpointsOfALevel(t *testing.T) {
	e := &xdsv1.Endpoints{Key: plain, Endpoints: []*xdsv1.Endpoint{{Address: "10.0.0.1", Port: 80, Zone: "z"}}}
	l := lens{level: 1, since: func(n protoreflect.FullName) uint32 {
		if n == "nantian.gateway.v1.Endpoint.zone" {
			return 2
		}
		return 1
	}}
	got := l.endpoints(e)
	if got.Endpoints[0].Zone != "" || got.Endpoints[0].Address != "10.0.0.1" || e.Endpoints[0].Zone != "z" {
		t.Errorf("%v, from %v", got, e)
	}
	l.newest = true
	if l.endpoints(e) != e {
		t.Error("the newest level gets a copy")
	}
}
