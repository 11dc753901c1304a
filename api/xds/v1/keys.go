package xdsv1

import (
	"fmt"
	"strconv"
	"strings"
)

// RuntimeKey is the key of the one Runtime of a group.
const RuntimeKey = "runtime"

// KeyKind is the first element of a key: the type of the resource that it names.
type KeyKind string

// The kinds of keys, as resource.proto lists them.
const (
	KindListener KeyKind = "listener"
	// KindListenerSet is of listeners in a ListenerSet.
	KindListenerSet KeyKind = "listenerset"
	KindRoute       KeyKind = "route"
	KindBackend     KeyKind = "backend"
	KindProvider    KeyKind = "provider"
	KindModels      KeyKind = "models"
	KindPolicy      KeyKind = "policy"
	KindSecret      KeyKind = "secret"
	KindRuntime     KeyKind = "runtime"
	KindCaller      KeyKind = "caller"
)

// The kinds of routes: the second element of a route's key.
const (
	RouteHTTP = "http"
	RouteGRPC = "grpc"
	RouteTLS  = "tls"
	RouteTCP  = "tcp"
	RouteUDP  = "udp"
)

// The kinds of policies: the second element of a policy's key.
const (
	PolicyAuth  = "auth"
	PolicyToken = "token"
	PolicyGuard = "guard"
	PolicyRoute = "route"
)

// ListenerKey names one listener of a Gateway.
func ListenerKey(namespace, gateway, listener string) string {
	return "listener/" + namespace + "/" + gateway + "/" + listener
}

// ListenerSetKey names one listener of a ListenerSet.
func ListenerSetKey(namespace, set, listener string) string {
	return "listenerset/" + namespace + "/" + set + "/" + listener
}

// RouteKey names one route object; kind is one of RouteHTTP, RouteGRPC, RouteTLS, RouteTCP and RouteUDP.
func RouteKey(kind, namespace, name string) string {
	return "route/" + kind + "/" + namespace + "/" + name
}

// udpSuffix follows the port in the key of a backend that takes datagrams: a Service may have the same number for TCP.
const udpSuffix = "-udp"

// UDPBackendKey names one UDP port of a Service, and its Endpoints.
func UDPBackendKey(namespace, service string, port uint32) string {
	return BackendKey(namespace, service, port) + udpSuffix
}

// BackendKey names one TCP port of a Service, and its Endpoints.
func BackendKey(namespace, service string, port uint32) string {
	return "backend/" + namespace + "/" + service + "/" + strconv.FormatUint(uint64(port), 10)
}

// ProviderKey names one AIProvider.
func ProviderKey(namespace, name string) string { return "provider/" + namespace + "/" + name }

// ModelsKey names the ModelMap of one AIBackend.
func ModelsKey(namespace, name string) string { return "models/" + namespace + "/" + name }

// PolicyKey names one policy object; kind is one of PolicyAuth, PolicyToken, PolicyGuard and PolicyRoute.
func PolicyKey(kind, namespace, name string) string {
	return "policy/" + kind + "/" + namespace + "/" + name
}

// CallerKey names the Caller of one Secret.
func CallerKey(namespace, name string) string { return "caller/" + namespace + "/" + name }

// SecretKey names one Secret.
func SecretKey(namespace, name string) string { return "secret/" + namespace + "/" + name }

// Key is a parsed key. Fields that the kind does not have are empty.
type Key struct {
	Kind KeyKind
	// Sub is the kind of a route or policy.
	Sub       string
	Namespace string
	// Name is the object's: of a listener the Gateway's or the ListenerSet's, of a backend the Service's.
	Name string
	// Section is the listener's name in its Gateway or ListenerSet.
	Section string
	// Port is the backend's, UDP that it is one of UDP.
	Port uint32
	UDP  bool
}

// String builds the key again: ParseKey(k.String()) gives k.
func (k Key) String() string {
	switch k.Kind {
	case KindListener:
		return ListenerKey(k.Namespace, k.Name, k.Section)
	case KindRoute:
		return RouteKey(k.Sub, k.Namespace, k.Name)
	case KindListenerSet:
		return ListenerSetKey(k.Namespace, k.Name, k.Section)
	case KindBackend:
		if k.UDP {
			return UDPBackendKey(k.Namespace, k.Name, k.Port)
		}
		return BackendKey(k.Namespace, k.Name, k.Port)
	case KindPolicy:
		return PolicyKey(k.Sub, k.Namespace, k.Name)
	case KindRuntime:
		return RuntimeKey
	default:
		return string(k.Kind) + "/" + k.Namespace + "/" + k.Name
	}
}

// ParseKey takes a key apart. Its error quotes the key.
func ParseKey(key string) (Key, error) {
	parts := strings.Split(key, "/")
	for _, p := range parts {
		if p == "" {
			return Key{}, fmt.Errorf("key %q: an element is empty", key)
		}
	}
	k := Key{Kind: KeyKind(parts[0])}
	want, known := elements[k.Kind]
	if !known {
		return Key{}, fmt.Errorf("key %q: unknown kind %q", key, parts[0])
	}
	if len(parts) != want {
		return Key{}, fmt.Errorf("key %q: has %d elements, a %s key has %d", key, len(parts), k.Kind, want)
	}
	if err := k.fill(key, parts); err != nil {
		return Key{}, err
	}
	return k, nil
}

// elements is the number of elements of a key by its kind, the kind included.
var elements = map[KeyKind]int{
	KindListener: 4, KindListenerSet: 4, KindRoute: 4, KindBackend: 4, KindPolicy: 4,
	KindProvider: 3, KindModels: 3, KindSecret: 3, KindCaller: 3, KindRuntime: 1,
}

// fill sets the fields of k from the elements of key; their number is already right.
func (k *Key) fill(key string, parts []string) error {
	switch k.Kind {
	case KindRuntime:
	case KindListener, KindListenerSet:
		k.Namespace, k.Name, k.Section = parts[1], parts[2], parts[3]
	case KindRoute, KindPolicy:
		k.Sub, k.Namespace, k.Name = parts[1], parts[2], parts[3]
		if k.Kind == KindRoute && !isRouteKind(k.Sub) {
			return fmt.Errorf("key %q: unknown kind of route %q", key, k.Sub)
		}
	case KindBackend:
		text, udp := strings.CutSuffix(parts[3], udpSuffix)
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 || text[0] == '0' || text[0] == '+' {
			return fmt.Errorf("key %q: %q is not a port from 1 to 65535", key, parts[3])
		}
		k.Namespace, k.Name, k.Port, k.UDP = parts[1], parts[2], uint32(port), udp
	default:
		k.Namespace, k.Name = parts[1], parts[2]
	}
	return nil
}

func isRouteKind(s string) bool {
	switch s {
	case RouteHTTP, RouteGRPC, RouteTLS, RouteTCP, RouteUDP:
		return true
	}
	return false
}

// KeyOf is the key that a resource carries; empty when the resource is empty or of a kind unknown to this version.
func KeyOf(r *Resource) string {
	if k, ok := kindOf(r).(interface{ GetKey() string }); ok {
		return k.GetKey()
	}
	return ""
}

// kindOf is the message inside r, or nil.
func kindOf(r *Resource) any {
	switch m := r.GetKind().(type) {
	case *Resource_Listener:
		return m.Listener
	case *Resource_Route:
		return m.Route
	case *Resource_Backend:
		return m.Backend
	case *Resource_Policy:
		return m.Policy
	case *Resource_Secret:
		return m.Secret
	case *Resource_Provider:
		return m.Provider
	case *Resource_ModelMap:
		return m.ModelMap
	case *Resource_Runtime:
		return m.Runtime
	case *Resource_Caller:
		return m.Caller
	}
	return nil
}
