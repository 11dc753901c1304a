package xds

import (
	"slices"
	"strings"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// Observer is told what data planes do. Calls about one data plane do not overlap and do not wait for locks of the Server;
// those about different ones do overlap. A slow Observer slows that data plane.
type Observer interface {
	// Changed: a data plane has connected, or has acknowledged or refused a set of resources. Endpoints are told of when they
	// are acknowledged for the first time, refused, or accepted again.
	Changed(dp DataPlane)
	// Gone: its stream has ended. Its last state is given once more.
	Gone(dp DataPlane)
}

// DataPlane is the state of one stream. It is a value; what it holds must not be changed.
type DataPlane struct {
	// Stream is unique in this process.
	Stream uint64
	// Group is proven; ID, Build and Level are what the data plane says of itself.
	Group string
	ID    string
	Build string
	Level uint32
	Since time.Time
	// Resources and Endpoints are how it took the two types.
	Resources, Endpoints Answer
	// Withheld are the keys, at most maxKeys, that its schema level cannot understand.
	Withheld []string
}

// Answer is how a data plane took the responses of one type.
type Answer struct {
	// Acked is the version that it serves, as Version makes it; empty: none yet on this stream.
	Acked string
	// Refused is set when it refused the last response.
	Refused *Refusal
}

// Refusal is a NACK.
type Refusal struct {
	// Version that was refused.
	Version string
	// Message is what the data plane said, at most maxReason bytes.
	Message string
	// Keys that the message gives reasons for, at most maxKeys.
	Keys []string
}

const (
	maxReason = 4 << 10
	maxKeys   = 20
	maxID     = 253
)

func newRefusal(version, message string) *Refusal {
	r := &Refusal{Version: version, Message: bounded(message, maxReason)}
	for line := range strings.Lines(r.Message) {
		key, _, ok := strings.Cut(line, ":")
		if _, err := xdsv1.ParseKey(key); ok && err == nil && !slices.Contains(r.Keys, key) && len(r.Keys) < maxKeys {
			r.Keys = append(r.Keys, key)
		}
	}
	return r
}

// bounded is s, cut to n bytes of valid UTF-8.
func bounded(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}

// sent remembers which version each nonce stands for until it is answered.
type sent struct{ list []nonce }

type nonce struct{ nonce, version string }

// maxNonces is more than can be outstanding: one, and one that raced with a request.
const maxNonces = 8

func (s *sent) add(n nonce) {
	if len(s.list) == maxNonces {
		s.list = slices.Delete(s.list, 0, 1)
	}
	s.list = append(s.list, n)
}

// take returns the version of a nonce and forgets those before it.
func (s *sent) take(n string) (version string, ok bool) {
	i := slices.IndexFunc(s.list, func(x nonce) bool { return x.nonce == n })
	if n == "" || i < 0 {
		return "", false
	}
	version = s.list[i].version
	s.list = slices.Delete(s.list, 0, i+1)
	return version, true
}

// take records an answer. It tells whether more than the version has changed.
func (a *Answer) take(version, reason string, refused bool) (news bool) {
	before := *a
	if refused {
		a.Refused = newRefusal(version, reason)
		return true
	}
	*a = Answer{Acked: version}
	return before.Refused != nil || before.Acked == ""
}
