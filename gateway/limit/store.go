package limit

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"

	goredis "github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/ratelimit"
	"github.com/nantian-gw/nantian/ratelimit/memory"
	"github.com/nantian-gw/nantian/ratelimit/redis"
)

// storeConfig is what a store is made of.
type storeConfig struct {
	redis    *goredis.UniversalOptions // nil: in memory
	prefix   string
	replicas int
	// wire and secrets are what redis was made of, to see whether they have changed.
	wire    *xdsv1.RateLimitStore
	secrets map[string]*xdsv1.Secret
}

// store is a place where limits are counted. It is closed when it is no longer the current one and no lease needs it.
type store struct {
	ratelimit.Limiter
	memory *memory.Limiter
	redis  *redis.Limiter
	client goredis.UniversalClient
	leases atomic.Int64
	retire atomic.Bool
	once   sync.Once
	done   func()
}

// open makes a store. It does not wait for it.
func (l *Limits) open(c storeConfig) *store {
	s := &store{done: func() {}}
	if c.redis == nil {
		s.memory = memory.New(memory.Options{Overshoot: l.overshot})
		s.Limiter = s.memory
		return s
	}
	s.client = redis.Dial(c.redis)
	s.redis = redis.New(s.client, redis.Options{
		Prefix: c.prefix, Timeout: c.redis.ReadTimeout, Overshoot: l.overshot, Replicas: func() int { return c.replicas }, Changed: l.changed,
	})
	s.Limiter = s.redis
	l.stores.Add(1)
	s.done = l.stores.Done
	l.Observer.StoreChanged(true)
	return s
}

// changed tells that a part of the store does not answer, or with nil that it does again.
func (l *Limits) changed(err error) {
	l.Observer.StoreChanged(err == nil)
	if err != nil {
		l.Log.Warn("the store of limits does not answer; policies that fail open are enforced here, by this replica's share", "error", err)
		return
	}
	l.Log.Info("the store of limits answers again")
}

// acquire lends the current store; release gives it back.
func (l *Limits) acquire() *store {
	for {
		s := l.current.Load()
		s.leases.Add(1)
		if !s.retire.Load() {
			return s
		}
		s.release()
	}
}

func (s *store) release() {
	if s.leases.Add(-1) == 0 && s.retire.Load() {
		go s.close()
	}
}

// close tells the store what was used, and ends it.
func (s *store) close() (err error) {
	s.once.Do(func() {
		if s.redis != nil {
			err = errors.Join(s.redis.Close(), s.client.Close())
		}
		s.done()
	})
	return err
}

// SetStore has limits counted where a Runtime says: nil is in memory. A URL given to New goes before it. What was counted
// elsewhere is not carried over; calls under way settle where they reserved.
func (l *Limits) SetStore(w *xdsv1.RateLimitStore, rs map[string]*xdsv1.Resource) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Redis != "" || l.closed {
		return nil
	}
	c := storeConfig{wire: w, secrets: map[string]*xdsv1.Secret{}, replicas: max(1, l.Replicas)}
	for _, key := range []string{w.GetSecret(), w.GetSentinelSecret(), w.GetTls().GetClientCertificate()} {
		if key != "" {
			c.secrets[key] = rs[key].GetSecret()
		}
	}
	if c.same(&l.store) {
		return nil
	}
	if w != nil {
		var err error
		if c.redis, err = options(w, c.secrets); err != nil {
			return fmt.Errorf("%s: rate_limit_store.%w", xdsv1.RuntimeKey, err)
		}
		c.prefix = w.GetKeyPrefix()
		if l.Replicas == 0 {
			c.replicas = max(1, int(w.GetReplicas()))
		}
	}
	l.store = c
	old := l.current.Swap(l.open(c))
	old.leases.Add(1)
	old.retire.Store(true)
	old.release()
	return nil
}

func (c *storeConfig) same(o *storeConfig) bool {
	if !proto.Equal(c.wire, o.wire) || (c.wire == nil) != (o.wire == nil) || len(c.secrets) != len(o.secrets) {
		return false
	}
	for key, s := range c.secrets {
		if !proto.Equal(s, o.secrets[key]) {
			return false
		}
	}
	return true
}

// options are those of a Redis client.
func options(w *xdsv1.RateLimitStore, secrets map[string]*xdsv1.Secret) (*goredis.UniversalOptions, error) {
	o := &goredis.UniversalOptions{Addrs: w.GetAddresses(), MasterName: w.GetSentinelPrimary(), IsClusterMode: w.GetCluster(), DB: int(w.GetDatabase())}
	var err error
	if o.Username, o.Password, err = credentials("secret", w.GetSecret(), secrets); err != nil {
		return nil, err
	}
	if o.SentinelUsername, o.SentinelPassword, err = credentials("sentinel_secret", w.GetSentinelSecret(), secrets); err != nil {
		return nil, err
	}
	if t := w.GetTls(); t != nil {
		if o.TLSConfig, err = storeTLS(t, secrets); err != nil {
			return nil, fmt.Errorf("tls.%w", err)
		}
	}
	return o, nil
}

func credentials(field, key string, secrets map[string]*xdsv1.Secret) (user, password string, err error) {
	if key == "" {
		return "", "", nil
	}
	data := secrets[key].GetOpaque().GetData()
	if len(data["password"]) == 0 {
		return "", "", fmt.Errorf("%s: %s has no password", field, key)
	}
	return strings.TrimSpace(string(data["username"])), strings.TrimSpace(string(data["password"])), nil
}

func storeTLS(t *xdsv1.StoreTLS, secrets map[string]*xdsv1.Secret) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.GetServerName()}
	for i, bundle := range t.GetCaCertificates() {
		if c.RootCAs == nil {
			c.RootCAs = x509.NewCertPool()
		}
		if !c.RootCAs.AppendCertsFromPEM(bundle) {
			return nil, fmt.Errorf("ca_certificates[%d]: has no certificate in PEM", i)
		}
	}
	if key := t.GetClientCertificate(); key != "" {
		pair := secrets[key].GetCertificate()
		cert, err := tls.X509KeyPair(pair.GetChain(), pair.GetPrivateKey())
		if err != nil {
			return nil, fmt.Errorf("client_certificate: %s: %w", key, err)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

// ParseURL reads the URL of a store: redis://[USER:PASSWORD@]HOST:PORT[/DB] or rediss:// for TLS. More nodes of a Cluster are
// addr=HOST:PORT in its query, and cluster=true says that the one address is of a Cluster; master_name=NAME says that the
// addresses and the credentials are of Sentinels, and then username and password in the query those of the store.
// read_timeout=D is how long an answer may take. Its errors do not hold the URL, which may have a password.
func ParseURL(text string) (*goredis.UniversalOptions, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("it is not a URL such as redis://localhost:6379")
	}
	query := u.Query()
	cluster := query.Get("cluster") == "true"
	query.Del("cluster")
	u.RawQuery = query.Encode()
	var o any
	switch {
	case u.Scheme != "redis" && u.Scheme != "rediss" && u.Scheme != "unix":
		return nil, fmt.Errorf("its scheme is %q, expected redis, rediss or unix", u.Scheme)
	case query.Has("master_name"):
		o, err = goredis.ParseFailoverURL(u.String())
	case query.Has("addr") || cluster:
		cluster = true
		o, err = goredis.ParseClusterURL(u.String())
	default:
		o, err = goredis.ParseURL(u.String())
	}
	if err != nil {
		return nil, errors.New("it cannot be read: " + withoutURL(err, u))
	}
	return universal(o, cluster), nil
}

// withoutURL is an error's text without credentials.
func withoutURL(err error, u *url.URL) string {
	text := strings.ReplaceAll(err.Error(), u.String(), u.Redacted())
	if p, has := u.User.Password(); has && p != "" {
		text = strings.ReplaceAll(text, p, "xxxxx")
	}
	return text
}

// universal takes the fields that the kinds of options have in common with UniversalOptions.
func universal(from any, cluster bool) *goredis.UniversalOptions {
	out := &goredis.UniversalOptions{IsClusterMode: cluster}
	to, src := reflect.ValueOf(out).Elem(), reflect.ValueOf(from).Elem()
	for i := range src.NumField() {
		name := src.Type().Field(i).Name
		if f := to.FieldByName(name); f.IsValid() && f.CanSet() && f.Type() == src.Field(i).Type() {
			f.Set(src.Field(i))
		}
	}
	switch o := from.(type) {
	case *goredis.Options:
		out.Addrs = []string{o.Addr}
	case *goredis.FailoverOptions:
		out.Addrs = o.SentinelAddrs
	}
	return out
}
