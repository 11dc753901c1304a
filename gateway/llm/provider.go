package llm

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/vendors"
	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// Waits where the AIProvider names none. Models may think for minutes before their first word; the official SDKs wait for
// ten.
const (
	defaultFirstByte = 10 * time.Minute
	defaultIdle      = 5 * time.Minute
	defaultKeepAlive = 15 * time.Second
)

// provider is an AIProvider, ready to be called. It is immutable.
type provider struct {
	key, name string // name: "<ns>/<name>"
	wire      ai.Provider
	bypass    ai.Bypass // nil: everything is translated
	cluster   *upstream.Cluster
	host      []byte
	// base is the path that the vendor's own are appended to; empty or "/...".
	base string
	// fields are sent with every call: credentials and the headers of the AIProvider.
	fields []field
	// secret is the credential, to keep it out of messages; empty: none is sent.
	secret string
	// passthrough forwards the client's credentials.
	passthrough bool
	drop        bool
	apiVersion  string
	models      []*xdsv1.ProviderModel

	firstByte, idle, keepAlive time.Duration
}

// field is a header field, its name as fasthttp writes it.
type field struct{ name, value []byte }

func newField(name, value string) field {
	return field{fasthttp.AppendNormalizedHeaderKey(nil, name), []byte(value)}
}

// schemas are those of the wire that are spoken here.
var schemas = map[xdsv1.Schema]ai.Schema{
	xdsv1.Schema_OPENAI:       ai.OpenAI,
	xdsv1.Schema_AZURE_OPENAI: ai.AzureOpenAI,
	xdsv1.Schema_ANTHROPIC:    ai.Anthropic,
	xdsv1.Schema_GEMINI:       ai.Gemini,
	xdsv1.Schema_OLLAMA:       ai.Ollama,
}

// provider compiles a Provider once.
func (k *compiler) provider(key string) (*provider, error) {
	if p := k.providers[key]; p != nil {
		return p, nil
	}
	m := k.rs[key].GetProvider()
	if m == nil {
		return nil, fmt.Errorf("%s: there is no such AIProvider", key)
	}
	p, err := k.newProvider(m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	k.providers[key] = p
	return p, nil
}

func (k *compiler) newProvider(m *xdsv1.Provider) (*provider, error) {
	t := m.GetTimeouts()
	p := &provider{
		key: m.GetKey(), name: m.GetNamespace() + "/" + m.GetName(), models: m.GetModels(),
		drop: m.GetOnUnsupported() == xdsv1.Unsupported_DROP, apiVersion: m.GetApiVersion(),
		firstByte: wait(t.GetFirstByte(), defaultFirstByte),
		idle:      wait(t.GetIdle(), defaultIdle),
		keepAlive: wait(t.GetKeepAliveAfter(), defaultKeepAlive),
	}
	schema, ok := schemas[m.GetSchema()]
	if !ok {
		return nil, fmt.Errorf("schema: %s is not supported by this version", m.GetSchema())
	}
	if p.wire, ok = vendors.Provider(schema); !ok {
		return nil, fmt.Errorf("schema: %s is not supported by this version", schema)
	}
	p.bypass, _ = p.wire.(ai.Bypass)
	if err := k.authenticate(p, m, schema); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(m.GetHeaders())) {
		p.fields = append(p.fields, newField(name, m.GetHeaders()[name]))
	}
	if err := k.locate(p, m); err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	return p, nil
}

func wait(d *durationpb.Duration, otherwise time.Duration) time.Duration {
	return cmp.Or(d.AsDuration(), otherwise)
}

// authenticate finds the credential.
func (k *compiler) authenticate(p *provider, m *xdsv1.Provider, schema ai.Schema) error {
	p.passthrough = m.GetAuth().GetPassthrough() != nil
	a := m.GetAuth().GetApiKey()
	if a == nil {
		return nil
	}
	data, ok := k.rs[a.GetSecret()].GetSecret().GetOpaque().GetData()[a.GetDataKey()]
	if !ok {
		return fmt.Errorf("api_key: %s has no key %q", a.GetSecret(), a.GetDataKey())
	}
	p.secret = strings.TrimSpace(string(data))
	if p.secret == "" || strings.ContainsFunc(p.secret, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("api_key: the value of %q in %s is empty or not one line", a.GetDataKey(), a.GetSecret())
	}
	header, prefix := a.GetHeader(), a.GetPrefix()
	if header == "" {
		header, prefix = vendors.Credential(schema)
	}
	p.fields = append(p.fields, newField(header, prefix+p.secret))
	return nil
}

// locate finds the cluster, the Host and the base path.
func (k *compiler) locate(p *provider, m *xdsv1.Provider) error {
	e := m.GetEndpoint()
	if key := e.GetBackend(); key != "" {
		c, err := k.clusters.For(key)
		if err != nil {
			return err
		}
		p.cluster, p.base = c, strings.TrimSuffix(e.GetPath(), "/")
		return p.hostOf(key)
	}
	u, err := url.Parse(e.GetUrl())
	if err != nil || u.Host == "" {
		return fmt.Errorf("url: %q is not http(s)://host[:port][/path]", e.GetUrl())
	}
	p.host, p.base = []byte(u.Host), strings.TrimSuffix(u.EscapedPath(), "/")
	c := upstream.Config{
		Key: p.key, Name: p.name, Host: u.Hostname(), Control: k.llm.Control,
		ConnectTimeout: m.GetTimeouts().GetConnect().AsDuration(),
	}
	if c.Port, err = port(u); err != nil {
		return err
	}
	secure := e.GetTls()
	if secure == nil {
		secure = &xdsv1.BackendTLS{SystemRoots: true}
	}
	if u.Scheme == "https" {
		if c.TLS, err = k.clusters.TLS(secure, u.Hostname()); err != nil {
			return fmt.Errorf("tls: %w", err)
		}
		c.H2 = secure.GetH2()
	}
	p.cluster, err = k.clusters.ForConfig(c, k.hash(&c, u, secure))
	return err
}

func port(u *url.URL) (uint32, error) {
	switch {
	case u.Port() != "":
		n, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil {
			return 0, fmt.Errorf("url: port %q: %w", u.Port(), err)
		}
		return uint32(n), nil
	case u.Scheme == "https":
		return 443, nil
	}
	return 80, nil
}

// hostOf makes the Host field for a backend: the Service's name in the cluster's DNS.
func (p *provider) hostOf(backend string) error {
	b, err := xdsv1.ParseKey(backend)
	if err != nil {
		return fmt.Errorf("backend: %w", err)
	}
	host := b.Name + "." + b.Namespace + ".svc"
	if p.cluster.Host != "" {
		host = p.cluster.Host
	}
	p.host = []byte(host + ":" + strconv.FormatUint(uint64(b.Port), 10))
	return nil
}

// hash identifies what the cluster of a URL is made of.
func (k *compiler) hash(c *upstream.Config, u *url.URL, t *xdsv1.BackendTLS) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n%d\n%d\n", c.Key, u.Scheme, c.Host, c.Port, c.ConnectTimeout)
	for _, m := range []proto.Message{t, k.rs[t.GetClientCertificate()].GetSecret()} {
		b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(m) // of valid messages it cannot fail
		fmt.Fprintf(h, "%d\n", len(b))
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))
}
