// Package plan says what a cluster is made of: its addresses, its programs and its directory. It is what the library hands to the
// process that runs the cluster. It must not import other packages of this module.
package plan

import (
	"fmt"
	"net/netip"
	"time"
)

// Networks is the number of clusters that can run on one machine at once: each has a /16 of its own, 10.200.0.0/16 and up.
const Networks = 32

// Ports of the programs. The API server and the kubelet listen on addresses that no Service has, so any port is free for Services.
const (
	APIPort     = 6443
	KubeletPort = 10250
)

// Network is the address plan of one cluster, a /16 that the host has a route to.
type Network struct {
	Index int
}

func (n Network) addr(c, d byte) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(200 + n.Index), c, d})
}

// All is the network that the host routes to the cluster.
func (n Network) All() netip.Prefix { return netip.PrefixFrom(n.addr(0, 0), 16) }

// Pods is what pods have their addresses from.
func (n Network) Pods() netip.Prefix { return netip.PrefixFrom(n.addr(0, 0), 17) }

// Node is the address of the node: the default gateway of pods, their DNS server, and where the API server finds the kubelet.
func (n Network) Node() netip.Addr { return n.addr(0, 1) }

// Services is what the API server gives ClusterIPs from.
func (n Network) Services() netip.Prefix { return netip.PrefixFrom(n.addr(128, 0), 18) }

// Kubernetes is the ClusterIP of the API server: the first of Services, by the API server's own rule.
func (n Network) Kubernetes() netip.Addr { return n.addr(128, 1) }

// Balancers is the pool of addresses for Services of type LoadBalancer. The first ten and the last are not given out unasked.
func (n Network) Balancers() netip.Prefix { return netip.PrefixFrom(n.addr(250, 0), 24) }

// Host is the host's address on the link to the cluster: what pods dial to reach a program of the host.
func (n Network) Host() netip.Addr { return n.addr(254, 1) }

// API is the address of the API server, the cluster's end of the link to the host.
func (n Network) API() netip.Addr { return n.addr(254, 2) }

// HostLink is the name of the host's network interface.
func (n Network) HostLink() string { return fmt.Sprintf("nantian%d", n.Index) }

// NodeLink is the name of the interface at the other end of HostLink.
const NodeLink = "host"

// NodeName is the name of the only Node.
const NodeName = "node"

// DNSDomain is the domain of Services.
const DNSDomain = "cluster.local"

// Cluster is all that the cluster's own process has to know.
type Cluster struct {
	Network Network
	// Dir holds the kubeconfig, keys and logs. It exists.
	Dir string
	// Programs are the paths of etcd, kube-apiserver and kube-controller-manager.
	Programs Programs
	// Images maps names of images to the static programs that are run for them.
	Images map[string]string
	// Hosts are names outside of the cluster that its DNS server answers for.
	Hosts map[string]string
	// APIServerArgs are added to the API server's command line.
	APIServerArgs []string
	// Controllers are names of controllers to run beside those that every cluster has.
	Controllers []string
	// TokenRenewal is the age at which projected tokens are renewed, 0 for four fifths of their life, as kubelets do.
	TokenRenewal time.Duration
}

// Programs are paths of the control plane's programs.
type Programs struct {
	Etcd, APIServer, ControllerManager string
}

// Event is what the cluster's process reports on its standard output, one JSON object a line.
type Event struct {
	Ready bool   `json:",omitempty"`
	Error string `json:",omitempty"`
}
