package xdsv1

func (v *validator) listener(l *Listener) {
	for i, a := range l.GetAddresses() {
		v.step(step{"addresses", i}, func() { v.address("", a) })
	}
	v.port("port", l.GetPort())
	v.enum("protocol", l.GetProtocol())
	v.optionalHost("hostname", l.GetHostname(), true)
	if p := l.GetProtocol(); l.GetHostname() != "" && (p == Protocol_TCP || p == Protocol_UDP) {
		v.fail("hostname", "is not known of protocol %s", p)
	}
	if l.GetProxyProtocol() && l.GetProtocol() == Protocol_UDP {
		v.fail("proxy_protocol", "is for connections, not for UDP")
	}
	v.optionalRef("client_certificate", l.GetClientCertificate(), KindSecret)
	encrypted := l.GetProtocol() == Protocol_HTTPS || l.GetProtocol() == Protocol_TLS
	if encrypted != (l.GetTls() != nil) {
		v.fail("tls", "is for the protocols HTTPS and TLS, and required there")
	}
	if l.GetTls() != nil {
		v.in("tls", func() { v.listenerTLS(l) })
	}
}

func (v *validator) listenerTLS(l *Listener) {
	t := l.GetTls()
	v.enum("mode", t.GetMode())
	if l.GetProtocol() == Protocol_HTTPS && t.GetMode() == ListenerTLS_PASSTHROUGH {
		v.fail("mode", "passthrough needs protocol TLS")
	}
	if t.GetMode() == ListenerTLS_TERMINATE && len(t.GetCertificates()) == 0 {
		v.fail("certificates", "is empty")
	}
	for i, c := range t.GetCertificates() {
		v.step(step{"certificates", i}, func() { v.ref("", c, KindSecret) })
	}
	switch t.GetMinVersion() {
	case "", "1.2", "1.3":
	default:
		v.fail("min_version", "%q is neither 1.2 nor 1.3", t.GetMinVersion())
	}
	if c := t.GetClientValidation(); c != nil {
		v.in("client_validation", func() { v.bundles(c.GetCaCertificates(), true) })
	}
}

// bundles checks ca_certificates; required says that there has to be one.
func (v *validator) bundles(pems [][]byte, required bool) {
	if required && len(pems) == 0 {
		v.fail("ca_certificates", "is empty")
	}
	for i, p := range pems {
		v.step(step{"ca_certificates", i}, func() { v.certificates("", p) })
	}
}

func (v *validator) secret(s *Secret) {
	switch m := s.GetKind().(type) {
	case *Secret_Certificate:
		v.keyPair("certificate", m.Certificate)
	case *Secret_Opaque:
	default:
		v.fail("kind", "is not set")
	}
}
