package table

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/filter"
)

// Compile makes a table of resources that passed xdsv1.Validate. What is as it was in prev, which may be nil, is taken from
// there: clusters, certificates, rules, regular expressions. The resources must not change afterwards. The error joins one
// fault for each resource that has one and names key and field; the table is nil then.
func Compile(rs map[string]*xdsv1.Resource, prev *Table, b Builder) (*Table, error) {
	if prev == nil {
		prev = &Table{mirrors: filter.NewMirrors(b)}
	}
	c := &compiler{
		resources: rs, prev: prev, builder: b, listeners: map[string]*Listener{}, models: map[string]Models{},
		policies: newPolicies(rs), texts: map[string]string{},
		table: &Table{
			routes: map[string]*route{}, clusters: newClusters(rs, prev.clusters),
			patterns: patterns{}, mirrors: prev.mirrors,
		},
	}
	c.table.clusters.open = b.Cluster
	c.certificates = c.table.clusters.certificates
	c.compileListeners()
	c.compileRoutes()
	if len(c.faults) > 0 {
		return nil, errors.Join(c.faults...)
	}
	c.index()
	c.table.clusters.finish()
	return c.table, nil
}

type compiler struct {
	resources    map[string]*xdsv1.Resource
	prev         *Table
	builder      Builder
	table        *Table
	certificates *certificates
	listeners    map[string]*Listener
	models       map[string]Models
	policies     policies
	texts        map[string]string // see intern
	faults       []error
}

// maxFaults bounds what is told of one set of resources.
const maxFaults = 20

func (c *compiler) fail(key string, err error) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, fmt.Errorf("%s: %w", key, err))
	}
}

func (c *compiler) compileListeners() {
	ports := map[string]*Port{}
	for _, key := range sortedKeys(c.resources, func(r *xdsv1.Resource) bool { return r.GetListener() != nil }) {
		if err := c.compileListener(c.resources[key].GetListener(), ports); err != nil {
			c.fail(key, err)
		}
	}
	c.table.ports = slices.SortedFunc(maps.Values(ports), func(a, b *Port) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Address, b.Address), cmp.Compare(a.Protocol, b.Protocol))
	})
}

func (c *compiler) compileListener(m *xdsv1.Listener, ports map[string]*Port) error {
	l := &Listener{Key: m.GetKey(), Gateway: m.GetGateway(), Name: m.GetName(), Hostname: m.GetHostname(), msg: m}
	c.listeners[m.GetKey()] = l
	switch m.GetProtocol() {
	case xdsv1.Protocol_HTTP, xdsv1.Protocol_TCP, xdsv1.Protocol_UDP:
	case xdsv1.Protocol_HTTPS, xdsv1.Protocol_TLS:
		if m.GetTls().GetMode() == xdsv1.ListenerTLS_PASSTHROUGH && m.GetProtocol() == xdsv1.Protocol_TLS {
			break
		}
		var err error
		if l.tls, err = c.listenerTLS(m); err != nil {
			return err
		}
	default:
		return fmt.Errorf("protocol: %s is not known to this version", m.GetProtocol())
	}
	addresses := m.GetAddresses()
	if len(addresses) == 0 {
		addresses = []string{""}
	}
	for _, a := range addresses {
		if err := addToPort(ports, a, l); err != nil {
			return err
		}
	}
	return nil
}

func addToPort(ports map[string]*Port, address string, l *Listener) error {
	protocol := l.msg.GetProtocol()
	id := fmt.Sprintf("%s %d %t", address, l.msg.GetPort(), protocol == xdsv1.Protocol_UDP)
	p := ports[id]
	if p == nil {
		p = &Port{Address: address, Port: l.msg.GetPort(), Protocol: protocol, ProxyProtocol: l.msg.GetProxyProtocol()}
		ports[id] = p
	} else {
		p.several = true
	}
	switch {
	case family(p.Protocol) != family(protocol):
		return fmt.Errorf("protocol: port %d speaks %s for other listeners", p.Port, p.Protocol)
	case p.ProxyProtocol != l.msg.GetProxyProtocol():
		return fmt.Errorf("proxy_protocol: port %d has %t for other listeners", p.Port, p.ProxyProtocol)
	case protocol == xdsv1.Protocol_TLS:
		p.Protocol = protocol
	}
	if other, ok := p.listeners.get(l.Hostname); ok {
		return fmt.Errorf("hostname: %q is that of %s as well", l.Hostname, other.Key)
	}
	p.listeners.set(l.Hostname, l)
	return nil
}

// family is what the listeners of one port agree on: those of HTTPS and TLS are told apart by the server name.
func family(p xdsv1.Protocol) xdsv1.Protocol {
	if p == xdsv1.Protocol_HTTPS {
		return xdsv1.Protocol_TLS
	}
	return p
}

func (c *compiler) compileRoutes() {
	for _, key := range sortedKeys(c.resources, func(r *xdsv1.Resource) bool { return r.GetRoute() != nil }) {
		r, err := c.route(c.resources[key].GetRoute())
		if err != nil {
			c.fail(key, err)
			continue
		}
		c.table.routes[key] = r
	}
}

// intern makes equal texts one: routes have the same paths and header names over and over, and those that are used then
// stay in the processor's caches.
func (c *compiler) intern(s string) string {
	if t, ok := c.texts[s]; ok {
		return t
	}
	c.texts[s] = s
	return s
}

func sortedKeys(rs map[string]*xdsv1.Resource, of func(*xdsv1.Resource) bool) []string {
	var keys []string
	for k, r := range rs {
		if of(r) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// index puts the matches of all routes under the hostnames of their listeners.
func (c *compiler) index() {
	type place struct {
		listener *Listener
		hostname string
	}
	building := map[place]*pathsBuilder{}
	for _, r := range c.table.routes {
		for i := range r.parents {
			p := &r.parents[i]
			l := c.listeners[p.listener.GetKey()]
			if p.stream != nil {
				l.addStream(p.stream, p.hostnames)
				continue
			}
			for _, h := range p.hostnames {
				b := building[place{l, h}]
				if b == nil {
					b = &pathsBuilder{}
					building[place{l, h}] = b
				}
				for _, m := range p.matches {
					b.add(m)
				}
			}
		}
	}
	for at, b := range building {
		at.listener.paths.set(at.hostname, b.build())
	}
}
