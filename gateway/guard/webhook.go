package guard

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"runtime"
	"syscall"
	"time"

	"google.golang.org/protobuf/proto"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/promptguard"
	"github.com/nantian-gw/nantian/promptguard/webhook"
)

// hook is a rule that asks a service. The stages of a rule share it, so that its limit holds for all of them.
type hook struct {
	*Rule
	guard *webhook.Guard
	meter WebhookMeter
}

func (c *Compiler) hook(w webhookRule) (*hook, error) {
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(w.m.GetWebhook())
	if err != nil {
		return nil, err
	}
	mode := byte(w.Action)
	if w.Monitor {
		mode |= 0x80
	}
	id := sha256.Sum256(append(append(append([]byte(w.id), 0, mode), wire...), w.secret...))
	if h := c.hooks[id].Value(); h != nil {
		return h, nil
	}
	options, transport, err := c.webhookOptions(w)
	if err != nil {
		return nil, err
	}
	meter := c.observer().Webhook(w.Policy, w.Name)
	options.Done = meter.Asked
	g, err := webhook.New(options)
	if err != nil {
		return nil, err
	}
	h := &hook{Rule: w.Rule, guard: g, meter: meter}
	runtime.AddCleanup(h, (*http.Transport).CloseIdleConnections, transport)
	c.hooks = remember(c.hooks, id, h)
	return h, nil
}

func (c *Compiler) webhookOptions(w webhookRule) (webhook.Options, *http.Transport, error) {
	m := w.m.GetWebhook()
	o := webhook.Options{
		Rule: w.id, URL: m.GetUrl(), Action: w.Action, Model: m.GetModel(),
		Timeout: m.GetTimeout().AsDuration(), Concurrency: int(m.GetMaxConcurrent()),
	}
	if o.URL == "" {
		return o, nil, errors.New("url: an endpoint that is a backend is not supported by this version")
	}
	if m.GetKind() == xdsv1.GuardWebhook_OPENAI_MODERATION {
		o.Kind = webhook.Moderation
	}
	if m.GetFailOpen() {
		o.Failure = webhook.Open
	}
	if len(w.secret) > 0 {
		o.Header = http.Header{"Authorization": {"Bearer " + string(w.secret)}}
	}
	transport, err := c.transport(m)
	o.Transport = transport
	return o, transport, err
}

// transport dials as model providers are dialled: no proxy of the environment, no address that is not allowed.
func (c *Compiler) transport(m *xdsv1.GuardWebhook) (*http.Transport, error) {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	if c.Control != nil {
		dialer.Control = func(network, address string, _ syscall.RawConn) error { return c.Control(network, address) }
	}
	t := &http.Transport{
		DialContext: dialer.DialContext, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute,
		TLSHandshakeTimeout: 5 * time.Second, ForceAttemptHTTP2: true,
	}
	if len(m.GetCaCertificates()) > 0 {
		pool := x509.NewCertPool()
		for _, pem := range m.GetCaCertificates() {
			if !pool.AppendCertsFromPEM(pem) {
				return nil, errors.New("ca_certificates: no certificate in PEM")
			}
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return t, nil
}

// inspect asks about one text. A rule that is only watched never fails.
func (h *hook) inspect(ctx context.Context, t promptguard.Text) (promptguard.Verdict, error) {
	h.meter.Waiting(1)
	defer h.meter.Waiting(-1)
	v, err := h.guard.Inspect(ctx, t)
	if h.Monitor {
		return v, nil
	}
	return v, err
}
