package xdsv1

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// parse reads a Resource in protobuf's text form.
func parse(t *testing.T, text string) *Resource {
	t.Helper()
	r := &Resource{}
	if err := prototext.Unmarshal([]byte(text), r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestValidateAcceptsWhatIsWellFormed(t *testing.T) {
	f := func(text string) {
		t.Helper()
		if err := Validate(parse(t, text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	f(`listener{key:"listener/a/b/c" port:80 protocol:HTTP hostname:"*.example.com"}`)
	f(`listener{key:"listener/a/b/c" port:443 protocol:HTTPS tls{mode:TERMINATE certificates:"secret/a/b"}}`)
	f(`listener{key:"listener/a/b/c" port:443 protocol:TLS tls{mode:PASSTHROUGH}}`)
	f(`route{key:"route/http/a/b" http{rules{matches{path{kind:REGEX value:"/a.*"} headers{name:"x-a" value:"1"}}
		backends{backend:"backend/a/b/80" weight:1} backends{invalid:"no such Service" weight:1}}}}`)
	f(`route{key:"route/tcp/a/b" l4{backends{backend:"backend/a/b/80" weight:1}}}`)
	f(`backend{key:"backend/a/b/80" protocol:HTTP1 endpoints{}}`)
	f(`backend{key:"backend/a/b/80" protocol:H2C hostname{name:"192.0.2.1" port:80}}`)
	f(`provider{key:"provider/a/b" schema:OPENAI endpoint{url:"https://api.openai.com/v1"} auth{none{}}}`)
	f(`model_map{key:"models/a/b" models{name:"gpt-*" targets{provider:"provider/a/b" model:"*"}}}`)
	f(`secret{key:"secret/a/b" opaque{data{key:"token" value:"s"}}}`)
	f(`runtime{key:"runtime" trusted_proxies:"10.0.0.0/8"}`)
	f(`runtime{key:"runtime" rate_limit_store{addresses:"redis:6379" secret:"secret/a/b" tls{}} prices{model:"gpt-*" price{input:1}}}`)
	f(`runtime{key:"runtime" rate_limit_store{addresses:["10.0.0.1:26379","[::1]:26379"] sentinel_primary:"m" sentinel_secret:"secret/a/b" database:2}}`)
	f(`runtime{key:"runtime" rate_limit_store{addresses:"a:1" addresses:"b:2" cluster:true}}`)
}

func TestValidateNamesKeyAndField(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		err := Validate(parse(t, text))
		if err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", text, err, want)
		}
	}
	f(``, `resource: its kind is missing, or not known to this version`)
	f(`listener{key:"route/http/a/b" port:80 protocol:HTTP}`,
		`route/http/a/b: key: "route/http/a/b" is not the key of a listener`)
	f(`listener{key:"listener/a/b/c" port:70000 protocol:HTTP}`,
		`listener/a/b/c: port: 70000 is not a port from 1 to 65535`)
	f(`listener{key:"listener/a/b/c" port:1}`, `listener/a/b/c: protocol: is not set`)
	f(`runtime{key:"runtime" rate_limit_store{}}`, `runtime: rate_limit_store.addresses: is empty`)
	f(`runtime{key:"runtime" rate_limit_store{addresses:"redis"}}`, `runtime: rate_limit_store.addresses[0]: "redis" is not HOST:PORT`)
	f(`runtime{key:"runtime" rate_limit_store{addresses:"a:1" addresses:"b:2"}}`,
		`runtime: rate_limit_store.addresses: has several: they are for a cluster or for sentinels`)
	f(`runtime{key:"runtime" rate_limit_store{addresses:"a:1" cluster:true database:1}}`,
		`runtime: rate_limit_store.database: 1 is not there in a cluster, which has but 0`)
	f(`runtime{key:"runtime" rate_limit_store{addresses:"a:1" sentinel_secret:"secret/a/b"}}`,
		`runtime: rate_limit_store.sentinel_secret: is for sentinels`)
	f(`runtime{key:"runtime" prices{model:"a**" price{input:-1}}}`, "runtime: prices[0].model: \"a**\" has more than one *\nruntime: prices[0].price: -1 is negative")
	f(`listener{key:"listener/a/b/c" port:1 protocol:HTTP hostname:"A.example"}`,
		`listener/a/b/c: hostname: "A.example" is not a lower case host name`)
	f(`listener{key:"listener/a/b/c" port:1 protocol:HTTPS}`,
		`listener/a/b/c: tls: is for the protocols HTTPS and TLS, and required there`)
	f(`listener{key:"listener/a/b/c" port:1 protocol:TLS tls{mode:TERMINATE certificates:"secret/a"}}`,
		`listener/a/b/c: tls.certificates[0]: key "secret/a": has 2 elements, a secret key has 3`)
	f(`route{key:"route/http/a/b" grpc{}}`, `route/http/a/b: rules: are not those of a http route`)
	f(`route{key:"route/http/a/b" http{rules{} rules{matches{path{kind:REGEX value:"("}}}}}`,
		"route/http/a/b: http.rules[1].matches[0].path.value: error parsing regexp: missing closing ): `(`")
	f(`route{key:"route/http/a/b" http{rules{matches{path{kind:PREFIX value:"a"}}}}}`,
		`route/http/a/b: http.rules[0].matches[0].path.value: "a" is not an absolute path`)
	f(`route{key:"route/http/a/b" http{rules{matches{headers{name:"X-A"}}}}}`,
		`route/http/a/b: http.rules[0].matches[0].headers[0].name: "X-A" is not in lower case`)
	f(`route{key:"route/http/a/b" http{rules{filters{}}}}`,
		`route/http/a/b: http.rules[0].filters[0].kind: is missing, or not known to this version`)
	f(`route{key:"route/http/a/b" http{rules{filters{redirect{status:200}}}}}`,
		`route/http/a/b: http.rules[0].filters[0].redirect.status: 200 is not a redirect`)
	f(`route{key:"route/http/a/b" http{rules{filters{request_headers{set{name:"a b" value:"c"}}}}}}`,
		`route/http/a/b: http.rules[0].filters[0].request_headers.set[0].name: "a b" is not an HTTP token`)
	f(`route{key:"route/http/a/b" http{rules{backends{weight:1}}}}`,
		`route/http/a/b: http.rules[0].backends[0].target: is not set`)
	f(`route{key:"route/http/a/b" http{rules{retry{codes:200}}}}`,
		`route/http/a/b: http.rules[0].retry.codes: 200 is not a status from 400 to 599`)
	f(`backend{key:"backend/a/b/80" protocol:9 endpoints{}}`,
		`backend/a/b/80: protocol: 9 is not known to this version`)
	f(`backend{key:"backend/a/b/80" protocol:HTTP1 endpoints{} tls{ca_certificates:"x"}}`,
		`backend/a/b/80: tls.ca_certificates[0]: has no certificate in PEM`)
	f(`secret{key:"secret/a/b" certificate{}}`,
		`secret/a/b: certificate: tls: failed to find any PEM data in certificate input`)
	f(`provider{key:"provider/a/b" schema:OPENAI endpoint{url:"https://u:p@x"} auth{none{}}}`,
		`provider/a/b: endpoint.url: "https://u:xxxxx@x" has credentials in it`)
	f(`model_map{key:"models/a/b" models{name:"a" targets{provider:"provider/a/b" model:"*"}}}`,
		`models/a/b: models[0].targets[0].model: "*" has a * but the name "a" has none`)
	f(`runtime{key:"runtime" trusted_proxies:"10.0.0.1"}`,
		`runtime: trusted_proxies[0]: "10.0.0.1" is not a CIDR such as 10.0.0.0/8`)
}

func TestValidateBoundsItsAnswer(t *testing.T) {
	r := parse(t, `route{key:"route/http/a/b" http{}}`)
	for range 1000 {
		r.GetRoute().GetHttp().Rules = append(r.GetRoute().GetHttp().Rules, &HTTPRule{Filters: []*Filter{{}}})
	}
	if n := strings.Count(Validate(r).Error(), "\n") + 1; n != maxFaults {
		t.Errorf("%d faults told, want %d", n, maxFaults)
	}
}

func TestValidateEndpoints(t *testing.T) {
	ok := &Endpoints{Key: "backend/a/b/80", Endpoints: []*Endpoint{{Address: "2001:db8::1", Port: 80}}}
	if err := ValidateEndpoints(ok); err != nil {
		t.Error(err)
	}
	bad := &Endpoints{Key: "backend/a/b/80", Endpoints: []*Endpoint{{Address: "pod", Port: 80}}}
	want := `backend/a/b/80: endpoints[0].address: "pod" is not an IP address`
	if err := ValidateEndpoints(bad); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// FuzzValidate: whatever arrives on the wire, Validate returns.
func FuzzValidate(f *testing.F) {
	seed, err := proto.Marshal(&Resource{Kind: &Resource_Route{Route: &Route{Key: "route/http/a/b"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &Resource{}
		if proto.Unmarshal(b, r) == nil {
			_ = Validate(r)
		}
	})
}
