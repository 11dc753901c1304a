package xdsv1

import (
	"net"
	"strconv"
)

func (v *validator) rateLimitStore(s *RateLimitStore) {
	if len(s.GetAddresses()) == 0 {
		v.fail("addresses", "is empty")
	}
	for i, a := range s.GetAddresses() {
		v.step(step{"addresses", i}, func() { v.hostPort(a) })
	}
	switch {
	case s.GetCluster() && s.GetSentinelPrimary() != "":
		v.fail("sentinel_primary", "is not for a cluster")
	case s.GetCluster() && s.GetDatabase() != 0:
		v.fail("database", "%d is not there in a cluster, which has but 0", s.GetDatabase())
	case !s.GetCluster() && s.GetSentinelPrimary() == "" && len(s.GetAddresses()) > 1:
		v.fail("addresses", "has several: they are for a cluster or for sentinels")
	case s.GetSentinelSecret() != "" && s.GetSentinelPrimary() == "":
		v.fail("sentinel_secret", "is for sentinels")
	}
	v.optionalRef("secret", s.GetSecret(), KindSecret)
	v.optionalRef("sentinel_secret", s.GetSentinelSecret(), KindSecret)
	if t := s.GetTls(); t != nil {
		v.in("tls", func() {
			v.optionalRef("client_certificate", t.GetClientCertificate(), KindSecret)
			for _, bundle := range t.GetCaCertificates() {
				v.certificates("ca_certificates", bundle)
			}
		})
	}
}

// hostPort says whether a is HOST:PORT.
func (v *validator) hostPort(a string) {
	host, port, err := net.SplitHostPort(a)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 || host == "" {
		v.fail("", "%q is not HOST:PORT", a)
		return
	}
	v.hostOrAddress("", host)
}
