package l4

import (
	"net/netip"
	"time"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// Outcome says how a session ended; it is a metric label.
type Outcome string

// The outcomes.
const (
	OK         Outcome = "ok"
	NoRoute    Outcome = "no_route"    // no route for the listener or server name
	NoBackend  Outcome = "no_backend"  // the share of a reference that is not valid
	NoEndpoint Outcome = "no_endpoint" // the backend has no endpoint, or none with room
	Connect    Outcome = "connect"     // the endpoint could not be reached
	Handshake  Outcome = "handshake"   // no ClientHello, no PROXY header, or TLS failed
	Reset      Outcome = "reset"       // one side broke the connection off
	Idle       Outcome = "idle"        // nothing moved for too long
	Cut        Outcome = "cut"         // the gateway shut down
)

// Session is what is recorded of one connection, or of the datagrams of one client.
type Session struct {
	Start time.Time
	// Protocol is TCP, TLS or UDP.
	Protocol string
	Client   netip.AddrPort
	// ServerName is what a TLS client asked for.
	ServerName string
	// Route is nil when none matched.
	Route *exchange.RouteInfo
	// Backend is "<ns>/<service>:<port>".
	Backend string
	// Received and Sent are bytes from and to the client.
	Received, Sent int64
	Outcome        Outcome
}

// Observer is told of sessions. Implementations are safe for concurrent use and do not keep the session.
type Observer interface {
	// SessionOpened is called when a backend has been reached.
	SessionOpened(s *Session)
	// SessionEnded is called once for each session, also for one that never reached a backend; opened says which.
	SessionEnded(s *Session, opened bool)
	// DatagramDropped counts a datagram that went nowhere.
	DatagramDropped(why Drop)
}
