package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/internal/jwks"
)

const (
	// defaultCache is how long keys are believed before they are fetched again.
	defaultCache = 5 * time.Minute
	// stale is how long they are used beyond that while they cannot be fetched.
	stale = time.Hour
	// fetchTimeout bounds one attempt, firstWait how long a request waits for keys.
	fetchTimeout, firstWait = 5 * time.Second, 3 * time.Second
	// forcedEvery is the least time between two attempts that tokens with an unknown key give rise to: anybody can make some.
	forcedEvery = 10 * time.Second
	// The time between attempts that fail grows from the one to the other.
	firstRetry, lastRetry = time.Second, 30 * time.Second
)

// remote fetches the keys of an issuer in the background. It is safe for concurrent use.
type remote struct {
	msg    *xdsv1.RemoteJWKS
	auth   *Auth
	policy string // "<ns>/<name>"
	meter  Meter
	cache  time.Duration
	client *http.Client

	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	poke   chan struct{}

	// have is nil until keys were fetched.
	have atomic.Pointer[fetched]

	mu       sync.Mutex
	began    time.Time // of the last attempt that has ended
	failures int
	forced   time.Time
	round    chan struct{} // closed when an attempt ends
}

// fetched are keys, and when they were fetched.
type fetched struct {
	set *jwks.Set
	at  time.Time
}

// remote makes the keys of an issuer, or takes over those of an old policy.
func (a *Auth) remote(p *policy, m *xdsv1.RemoteJWKS, old []*policy) (*remote, error) {
	for _, o := range old {
		if r := o.remoteOf(m); r != nil {
			return r, nil
		}
	}
	r := &remote{msg: m, auth: a, policy: p.name, meter: p.meter, cache: m.GetCache().AsDuration(), poke: make(chan struct{}, 1), round: make(chan struct{})}
	if r.cache <= 0 {
		r.cache = defaultCache
	}
	var roots *x509.CertPool
	for i, bundle := range m.GetCaCertificates() {
		if roots == nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(bundle) {
			return nil, fmt.Errorf("remote.ca_certificates[%d] has no certificate in PEM", i)
		}
	}
	r.client = a.client(roots)
	return r, nil
}

// client makes an HTTP client that follows no redirects and keeps no connections.
func (a *Auth) client(roots *x509.CertPool) *http.Client {
	dialer := &net.Dialer{Timeout: fetchTimeout}
	if a.Control != nil {
		dialer.Control = func(network, address string, _ syscall.RawConn) error { return a.Control(network, address) }
	}
	return &http.Client{
		Timeout:       fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		},
	}
}

func (r *remote) start() {
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.done = make(chan struct{})
	go r.run()
}

func (r *remote) stop() {
	r.cancel()
	<-r.done
}

func (r *remote) run() {
	defer close(r.done)
	for {
		timer := time.NewTimer(r.attempt())
		select {
		case <-r.ctx.Done():
			timer.Stop()
			return
		case <-r.poke:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// attempt fetches the keys once, and says when to do so again.
func (r *remote) attempt() time.Duration {
	began := time.Now()
	set, err := r.fetch()
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { close(r.round); r.round = make(chan struct{}) }()
	if r.ctx.Err() != nil {
		return 0
	}
	r.began = began
	r.meter.Fetched(err == nil)
	r.tell(err)
	if err != nil {
		r.failures++
		return spread(min(firstRetry<<min(r.failures-1, 10), lastRetry))
	}
	r.failures = 0
	if old := r.have.Load(); old != nil && set.Equal(old.set) {
		set = old.set // tokens that were verified with it need not be verified again
	}
	r.have.Store(&fetched{set, r.auth.Now()})
	return spread(r.cache)
}

// spread makes a time up to a tenth shorter, so that replicas do not all ask at once.
func spread(d time.Duration) time.Duration { return d - time.Duration(rand.Int64N(int64(d)/10+1)) }

// tell logs the first of a row of failures, and its end.
func (r *remote) tell(err error) {
	l := r.auth.Log.With("policy", r.policy, "url", withoutQuery(r.msg.GetUrl()))
	switch {
	case err != nil && r.failures == 0:
		l.Warn("the keys of an issuer cannot be fetched", "error", err)
	case err == nil && r.failures > 0:
		l.Info("the keys of an issuer are fetched again")
	}
}

func withoutQuery(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host + u.Path
}

func (r *remote) fetch() (*jwks.Set, error) {
	q, err := http.NewRequestWithContext(r.ctx, http.MethodGet, r.msg.GetUrl(), nil)
	if err != nil {
		return nil, errors.New("the url is not valid")
	}
	q.Header.Set("Accept", "application/jwk-set+json, application/json")
	q.Header.Set("User-Agent", "nantian")
	resp, err := r.client.Do(q)
	if err != nil {
		var u *url.Error // its text has the query
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, jwks.MaxSize+1))
	if err != nil {
		return nil, err
	}
	set, _, err := jwks.Parse(text)
	return set, err
}

// current implements keySource.
func (r *remote) current(x *exchange.Exchange) *jwks.Set {
	if set := r.believed(); set != nil {
		return set
	}
	r.mu.Lock()
	tried := !r.began.IsZero()
	r.mu.Unlock()
	if !tried {
		r.wait(x, time.Time{})
	}
	return r.believed()
}

// believed are the keys, unless they are too old.
func (r *remote) believed() *jwks.Set {
	f := r.have.Load()
	if f == nil || r.auth.Now().Sub(f.at) > r.cache+stale {
		return nil
	}
	return f.set
}

// newer implements keySource. Of many requests that ask at once one gives rise to an attempt, and all wait for it.
func (r *remote) newer(x *exchange.Exchange, old *jwks.Set) *jwks.Set {
	r.mu.Lock()
	now := time.Now()
	if set := r.believed(); set != old {
		r.mu.Unlock()
		return set
	}
	since := r.forced
	if now.Sub(r.forced) >= forcedEvery {
		r.forced, since = now, now
		select {
		case r.poke <- struct{}{}:
		default:
		}
	}
	r.mu.Unlock()
	r.wait(x, since)
	return r.believed()
}

// wait waits for the end of an attempt that began after since, at most firstWait, or until the client leaves.
func (r *remote) wait(x *exchange.Exchange, since time.Time) {
	timer := time.NewTimer(firstWait)
	defer timer.Stop()
	for {
		r.mu.Lock()
		ended, round := !r.began.IsZero() && !r.began.Before(since), r.round
		r.mu.Unlock()
		if ended {
			return
		}
		select {
		case <-round:
		case <-timer.C:
			return
		case <-x.Context().Done():
			return
		}
	}
}
