package pki

import (
	"crypto/tls"
	"errors"
	"sync/atomic"
	"time"
)

// Listener gives a TLS listener its certificate and the CAs that it trusts, each connection the newest. It is safe for
// concurrent use.
type Listener struct {
	hosts   []string
	current atomic.Pointer[served]
}

type served struct {
	ca   *CA
	pair *Pair
	conf *tls.Config
}

// NewListener makes a Listener without a certificate, for names and addresses.
func NewListener(hosts []string) *Listener { return &Listener{hosts: hosts} }

// Update makes what is due: a certificate by a new CA, or a new one in time.
func (l *Listener) Update(ca *CA, now time.Time) error {
	old := l.current.Load()
	template := Server(l.hosts)
	var pair *Pair
	if old != nil && ca.Fresh(old.pair, template, now) {
		pair = old.pair
	}
	if pair != nil && string(old.ca.Bundle()) == string(ca.Bundle()) {
		return nil
	}
	if pair == nil {
		var err error
		if pair, err = ca.Issue(template, now); err != nil {
			return err
		}
	}
	cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return err
	}
	l.current.Store(&served{ca: ca, pair: pair, conf: &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"},
		Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
	}})
	return nil
}

// Ready tells whether there is a certificate.
func (l *Listener) Ready() error {
	if l.current.Load() == nil {
		return errors.New("there is no certificate for the xDS listener yet: the leader has not written the CA's Secret")
	}
	return nil
}

// Config is what the listener is made with.
func (l *Listener) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, ClientAuth: tls.RequireAndVerifyClientCert,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			s := l.current.Load()
			if s == nil {
				return nil, l.Ready()
			}
			return s.conf, nil
		},
	}
}
