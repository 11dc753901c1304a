package dns

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"

	"golang.org/x/net/dns/dnsmessage"
)

func ptr[T any](v T) *T { return &v }

// some is a namespace with a Service of each type.
func some(t testing.TB) *Names {
	services := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	endpoints := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	ports := []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}}
	for name, spec := range map[string]corev1.ServiceSpec{
		"web": {ClusterIP: "10.0.0.1", Ports: ports}, "headless": {ClusterIP: corev1.ClusterIPNone, Ports: ports},
		"other": {Type: corev1.ServiceTypeExternalName, ExternalName: "models.example.com"},
	} {
		if err := services.Add(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: spec}); err != nil {
			t.Fatal(err)
		}
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s", Labels: map[string]string{discoveryv1.LabelServiceName: "headless"}},
		Ports:      []discoveryv1.EndpointPort{{Name: ptr("http"), Port: ptr(int32(8080)), Protocol: ptr(corev1.ProtocolTCP)}},
		Endpoints: []discoveryv1.Endpoint{
			{Addresses: []string{"10.1.0.1"}, Hostname: ptr("first")}, {Addresses: []string{"10.1.0.2"}},
			{Addresses: []string{"10.1.0.3"}, Conditions: discoveryv1.EndpointConditions{Ready: ptr(false)}},
		},
	}
	if err := endpoints.Add(slice); err != nil {
		t.Fatal(err)
	}
	return &Names{
		Services: corelisters.NewServiceLister(services), Slices: discoverylisters.NewEndpointSliceLister(endpoints), Domain: "cluster.local",
		Hosts: map[string]netip.Addr{"models.example.com": netip.MustParseAddr("192.0.2.1")},
	}
}

// ask asks and returns the answer's code and its records in words.
func ask(t *testing.T, n *Names, name string, kind dnsmessage.Type) (dnsmessage.RCode, string) {
	t.Helper()
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: 7, RecursionDesired: true})
	_ = b.StartQuestions()
	if err := b.Question(dnsmessage.Question{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}); err != nil {
		t.Fatal(err)
	}
	question, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	var m dnsmessage.Message
	if err := m.Unpack(n.Answer(question, maxUDP)); err != nil {
		t.Fatal(err)
	}
	if m.ID != 7 || !m.Response {
		t.Errorf("header %+v", m.Header)
	}
	var out []string
	for _, a := range m.Answers {
		switch r := a.Body.(type) {
		case *dnsmessage.AResource:
			out = append(out, netip.AddrFrom4(r.A).String())
		case *dnsmessage.CNAMEResource:
			out = append(out, r.CNAME.String())
		case *dnsmessage.SRVResource:
			out = append(out, r.Target.String())
		}
	}
	slices.Sort(out)
	return m.RCode, strings.Join(out, " ")
}

func TestAnswer(t *testing.T) {
	n := some(t)
	f := func(name string, kind dnsmessage.Type, code dnsmessage.RCode, want string) {
		t.Helper()
		if c, got := ask(t, n, name, kind); c != code || got != want {
			t.Errorf("%s %s: got %s %q, want %s %q", name, kind, c, got, code, want)
		}
	}
	a, ok, none := dnsmessage.TypeA, dnsmessage.RCodeSuccess, dnsmessage.RCodeNameError
	f("web.ns.svc.cluster.local.", a, ok, "10.0.0.1")
	f("WEB.ns.svc.cluster.local.", a, ok, "10.0.0.1")
	f("web.ns.svc.cluster.local.", dnsmessage.TypeAAAA, ok, "")
	f("headless.ns.svc.cluster.local.", a, ok, "10.1.0.1 10.1.0.2")
	f("first.headless.ns.svc.cluster.local.", a, ok, "10.1.0.1")
	f("10-1-0-2.headless.ns.svc.cluster.local.", a, ok, "10.1.0.2")
	f("nobody.headless.ns.svc.cluster.local.", a, none, "")
	f("_http._tcp.web.ns.svc.cluster.local.", dnsmessage.TypeSRV, ok, "web.ns.svc.cluster.local.")
	f("_http._tcp.headless.ns.svc.cluster.local.", dnsmessage.TypeSRV, ok,
		"10-1-0-2.headless.ns.svc.cluster.local. 10-1-0-3.headless.ns.svc.cluster.local. first.headless.ns.svc.cluster.local.")
	f("_grpc._tcp.web.ns.svc.cluster.local.", dnsmessage.TypeSRV, none, "")
	f("other.ns.svc.cluster.local.", a, ok, "models.example.com.")
	f("models.example.com.", a, ok, "192.0.2.1")
	f("example.com.", a, none, "")
	f("gone.ns.svc.cluster.local.", a, none, "")
	f("ns.svc.cluster.local.", a, ok, "")
	f("svc.cluster.local.", a, ok, "")
}

func TestServer(t *testing.T) {
	n := some(t)
	s := &Server{names: n, slots: make(chan struct{}, maxConns)}
	var err error
	if s.udp, err = net.ListenPacket("udp4", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if s.tcp, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { s.Serve(ctx); close(done) }()
	for _, network := range []string{"udp", "tcp"} {
		addr := s.udp.LocalAddr().String()
		if network == "tcp" {
			addr = s.tcp.Addr().String()
		}
		r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: time.Minute}).DialContext(ctx, network, addr)
		}}
		if got, err := r.LookupHost(t.Context(), "web.ns.svc.cluster.local."); err != nil || !slices.Equal(got, []string{"10.0.0.1"}) {
			t.Errorf("%s: %v, %v", network, got, err)
		}
	}
	cancel()
	<-done
}

func FuzzAnswer(f *testing.F) {
	n := some(f)
	f.Add([]byte{})
	f.Add([]byte("\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03web\x02ns\x03svc\x07cluster\x05local\x00\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, question []byte) {
		out := n.Answer(question, maxUDP)
		if out == nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(out); err != nil || !m.Response || len(out) > maxUDP {
			t.Errorf("%q: %d bytes, %v", question, len(out), err)
		}
	})
}
