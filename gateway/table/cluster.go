package table

import (
	"crypto/tls"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// Clusters are the clusters of one table. Those whose configuration is as it was in the table before are the same objects,
// with their connections. A Clusters is used while its table is compiled, by one goroutine.
type Clusters struct {
	resources    map[string]*xdsv1.Resource
	prev         *Clusters // nil once the table is compiled
	byID         map[string]*cluster
	byKey        map[string][]*upstream.Cluster // of backends
	certificates *certificates
	open         func(upstream.Config) *upstream.Cluster
}

// cluster is a cluster with what it was made of.
type cluster struct {
	*upstream.Cluster
	backend     *xdsv1.Backend
	certificate string        // key of the client certificate
	secret      *xdsv1.Secret // the client certificate
	maxHead     uint32
}

func newClusters(rs map[string]*xdsv1.Resource, prev *Clusters) *Clusters {
	c := &Clusters{
		resources: rs, prev: prev, byID: map[string]*cluster{}, byKey: map[string][]*upstream.Cluster{}, open: upstream.NewCluster,
		certificates: &certificates{resources: rs, byKey: map[string]*certificate{}},
	}
	if prev != nil {
		c.certificates.prev = prev.certificates.byKey
	}
	return c
}

// finish lets go of what only compiling needs.
func (c *Clusters) finish() {
	c.prev, c.resources, c.open = nil, nil, nil
	c.certificates.prev, c.certificates.resources = nil, nil
}

// For is the cluster of a backend. It has the endpoints that the table before gave it, or none yet. The error names key and
// field.
func (c *Clusters) For(key string) (*upstream.Cluster, error) { return c.forBackend(ask{key: key}) }

// forBackend is For; grpc asks for HTTP/2, which gRPC needs whatever the Service says of its port. A backend that also
// serves other routes by HTTP/1.1 has two clusters then, and one for each certificate that Gateways show to it.
func (c *Clusters) forBackend(a ask) (*upstream.Cluster, error) {
	key := a.key
	b := c.resources[key].GetBackend()
	if b == nil {
		return nil, fmt.Errorf("%s: there is no such backend", key)
	}
	h2 := b.GetProtocol() == xdsv1.BackendProtocol_H2C || b.GetTls().GetH2() || a.grpc
	id := key
	if h2 {
		id += " h2"
	}
	certificate := b.GetTls().GetClientCertificate()
	if certificate == "" && b.GetTls() != nil && a.certificate != "" {
		certificate = a.certificate
		id += " " + certificate
	}
	if cl := c.byID[id]; cl != nil {
		return cl.Cluster, nil
	}
	cl := &cluster{
		backend: b, certificate: certificate, secret: c.resources[certificate].GetSecret(),
		maxHead: c.resources[xdsv1.RuntimeKey].GetRuntime().GetLimits().GetMaxResponseHead(),
	}
	if old := c.before(id); old != nil && old.sameBackend(cl) {
		cl = old
	} else if err := c.dial(cl, h2); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	c.byID[id] = cl
	c.byKey[key] = append(c.byKey[key], cl.Cluster)
	return cl.Cluster, nil
}

func (c *Clusters) before(id string) *cluster {
	if c.prev == nil {
		return nil
	}
	return c.prev.byID[id]
}

func (c *cluster) sameBackend(o *cluster) bool {
	return c.maxHead == o.maxHead && proto.Equal(c.backend, o.backend) && proto.Equal(c.secret, o.secret)
}

// dial makes the upstream.Cluster of a backend.
func (c *Clusters) dial(cl *cluster, h2 bool) error {
	b := cl.backend
	cfg := upstream.Config{
		Key: b.GetKey(), Name: backendName(b.GetKey()), H2: h2,
		Host: b.GetHostname().GetName(), Port: b.GetHostname().GetPort(),
		ConnectTimeout:  b.GetLoadBalancing().GetConnectTimeout().AsDuration(),
		MaxResponseHead: int(cl.maxHead),
		LoadBalancing:   b.GetLoadBalancing(),
		ProxyProtocol:   int(b.GetProxyProtocol()),
	}
	if b.GetTls() != nil {
		t := proto.CloneOf(b.GetTls())
		t.H2, t.ClientCertificate = h2, cl.certificate
		var err error
		if cfg.TLS, err = c.TLS(t, cfg.Host); err != nil {
			return fmt.Errorf("tls.%w", err)
		}
	}
	cl.Cluster = c.open(cfg)
	return nil
}

// backendName is the name of a backend as users call it: "<ns>/<service>:<port>".
func backendName(key string) string {
	k, err := xdsv1.ParseKey(key)
	if err != nil {
		return key
	}
	name := k.Namespace + "/" + k.Name + ":" + strconv.FormatUint(uint64(k.Port), 10)
	if k.UDP {
		name += "/udp"
	}
	return name
}

// ForConfig is the cluster of a configuration that is not that of a backend; hash stands for all of it, cfg.Key included.
func (c *Clusters) ForConfig(cfg upstream.Config, hash string) *upstream.Cluster {
	id := cfg.Key + " " + hash
	if cl := c.byID[id]; cl != nil {
		return cl.Cluster
	}
	cl := c.before(id)
	if cl == nil {
		cl = &cluster{Cluster: c.open(cfg)}
	}
	c.byID[id] = cl
	return cl.Cluster
}

// certificates loads the certificates of a table, each once.
type certificates struct {
	resources map[string]*xdsv1.Resource
	prev      map[string]*certificate
	byKey     map[string]*certificate
}

type certificate struct {
	secret *xdsv1.Secret
	pair   *tls.Certificate
}

func (c *certificates) get(key string) (*tls.Certificate, error) {
	if cert := c.byKey[key]; cert != nil {
		return cert.pair, nil
	}
	secret := c.resources[key].GetSecret()
	if secret.GetCertificate() == nil {
		return nil, fmt.Errorf("%s: there is no such certificate", key)
	}
	cert := c.prev[key]
	if cert == nil || !proto.Equal(cert.secret, secret) {
		pair, err := tls.X509KeyPair(secret.GetCertificate().GetChain(), secret.GetCertificate().GetPrivateKey())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		cert = &certificate{secret: secret, pair: &pair}
	}
	c.byKey[key] = cert
	return cert.pair, nil
}
