// Command whoami stands in for CoreDNS in the suite's pods, with what they ask of it: its plugin whoami, which tells a client how
// it is seen (address and port in the additional section). CoreDNS itself would be a build of many minutes.
package main

import (
	"log"
	"net"

	"github.com/miekg/dns"
)

func main() {
	s := &dns.Server{Addr: ":53", Net: "udp", Handler: dns.HandlerFunc(answer)}
	log.Fatal(s.ListenAndServe())
}

func answer(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = true
	if peer, ok := w.RemoteAddr().(*net.UDPAddr); ok && len(q.Question) > 0 {
		name := q.Question[0].Name
		m.Extra = append(m.Extra, record(name, peer.IP), &dns.SRV{
			Hdr:  dns.RR_Header{Name: "_udp." + name, Rrtype: dns.TypeSRV, Class: dns.ClassINET},
			Port: uint16(peer.Port), Target: ".",
		})
	}
	if err := w.WriteMsg(m); err != nil {
		log.Print(err)
	}
}

func record(name string, ip net.IP) dns.RR {
	if v4 := ip.To4(); v4 != nil {
		return &dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: v4}
	}
	return &dns.AAAA{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeAAAA, Class: dns.ClassINET}, AAAA: ip}
}
