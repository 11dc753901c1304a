package xdsv1

func (v *validator) backend(b *Backend) {
	v.enum("protocol", b.GetProtocol())
	v.enum("proxy_protocol", b.GetProxyProtocol())
	if k, err := ParseKey(v.key); err == nil && k.UDP != (b.GetProtocol() == BackendProtocol_DATAGRAM) {
		v.fail("protocol", "%s is not that of the key", b.GetProtocol())
	}
	if b.GetProtocol() == BackendProtocol_DATAGRAM && (b.GetTls() != nil || b.GetProxyProtocol() != Backend_OFF) {
		v.fail("protocol", "datagrams have neither TLS nor the PROXY protocol")
	}
	if b.GetTls() != nil {
		v.in("tls", func() { v.backendTLS(b.GetTls()) })
	}
	if lb := b.GetLoadBalancing(); lb != nil {
		v.in("load_balancing", func() { v.balancing(lb) })
	}
	switch m := b.GetKind().(type) {
	case *Backend_Endpoints:
	case *Backend_Hostname:
		v.in("hostname", func() {
			v.hostOrAddress("name", m.Hostname.GetName())
			v.port("port", m.Hostname.GetPort())
		})
	default:
		v.fail("kind", "is not set")
	}
}

func (v *validator) backendTLS(t *BackendTLS) {
	if t.GetHostname() != "" {
		v.hostOrAddress("hostname", t.GetHostname())
	}
	v.bundles(t.GetCaCertificates(), false)
	each(v, "sans", t.GetSans(), func(v *validator, s *SAN) {
		switch m := s.GetKind().(type) {
		case *SAN_Hostname:
			v.host("hostname", m.Hostname, true)
		case *SAN_Uri:
			if m.Uri == "" {
				v.fail("uri", "is empty")
			}
		default:
			v.fail("kind", "is not set")
		}
	})
	v.optionalRef("client_certificate", t.GetClientCertificate(), KindSecret)
}
