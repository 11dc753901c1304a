package snapshot

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// redacted stands for what must not be seen.
const redacted = "(redacted)"

// Dump is a snapshot and its endpoints as people and programs read them: both in order of keys, secrets without content.
type Dump struct {
	Resources []json.RawMessage `json:"resources"`
	Endpoints []json.RawMessage `json:"endpoints,omitempty"`
}

// NewDump makes a Dump.
func NewDump(s *Snapshot, endpoints map[string]*xdsv1.Endpoints) (*Dump, error) {
	d := &Dump{Resources: []json.RawMessage{}}
	for _, key := range s.Keys() {
		b, err := marshal(s.Resources[key])
		if err != nil {
			return nil, err
		}
		d.Resources = append(d.Resources, b)
	}
	for _, key := range slices.Sorted(maps.Keys(endpoints)) {
		b, err := protojson.Marshal(endpoints[key])
		if err != nil {
			return nil, err
		}
		d.Endpoints = append(d.Endpoints, b)
	}
	return d, nil
}

// YAML is the Dump as YAML; of the same snapshot it is always the same text.
func (d *Dump) YAML() ([]byte, error) { return yaml.Marshal(d) }

// marshal is protojson.Marshal, but for Secrets, whose content must not be seen, and for what is known of the keys of callers.
func marshal(r *xdsv1.Resource) ([]byte, error) {
	if c := r.GetCaller(); c != nil {
		c = proto.CloneOf(c)
		c.KeySha256 = nil
		return protojson.Marshal(&xdsv1.Resource{Kind: &xdsv1.Resource_Caller{Caller: c}})
	}
	s := r.GetSecret()
	if s == nil {
		return protojson.Marshal(r)
	}
	out := map[string]any{"key": s.GetKey()}
	if c := s.GetCertificate(); c != nil {
		out["certificate"] = describe(c.GetChain())
	} else {
		data := map[string]string{}
		for k := range s.GetOpaque().GetData() {
			data[k] = redacted
		}
		out["opaque"] = map[string]any{"data": data}
	}
	return json.Marshal(map[string]any{"secret": out})
}

// describe says what every client of a certificate sees of it.
func describe(chain []byte) map[string]any {
	out := map[string]any{"privateKey": redacted}
	block, _ := pem.Decode(chain)
	if block == nil {
		return out
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return out
	}
	out["subject"], out["dnsNames"] = cert.Subject.String(), cert.DNSNames
	out["notBefore"], out["notAfter"] = cert.NotBefore, cert.NotAfter
	return out
}
