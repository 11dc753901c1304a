package exchange

import (
	"net/netip"
	"sync/atomic"
)

// Proxies are those whose X-Forwarded fields are believed. They may change at any time; nil and the zero value have none.
type Proxies struct {
	list atomic.Pointer[[]netip.Prefix]
}

// Set puts others in their place.
func (p *Proxies) Set(list []netip.Prefix) { p.list.Store(&list) }

// Trust says whether an address is one of theirs.
func (p *Proxies) Trust(a netip.Addr) bool {
	if p == nil {
		return false
	}
	list := p.list.Load()
	if list == nil {
		return false
	}
	for _, prefix := range *list {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}
