package upstream

import (
	"bytes"
	"errors"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// outlier says when an endpoint is taken out.
type outlier struct {
	limits     [2]uint32 // of fives and gateways; 0: not looked at
	base, most time.Duration
	percent    int
}

// The kinds of failures, as indexes.
const (
	fives = iota
	gateways
)

var causes = [2]string{fives: "5xx", gateways: "gateway"}

func newOutlier(o *xdsv1.Outlier) *outlier {
	if o == nil {
		return nil
	}
	return &outlier{
		limits: [2]uint32{fives: o.GetConsecutive_5Xx(), gateways: o.GetConsecutiveGatewayErrors()},
		base:   o.GetBaseEjectionTime().AsDuration(), most: o.GetMaxEjectionTime().AsDuration(), percent: int(o.GetMaxEjectionPercent()),
	}
}

// result is what a call says of its endpoint: whether it failed in the way of each kind.
type result struct{ failed [2]bool }

var (
	succeeded = result{}
	failed5xx = result{[2]bool{fives: true}}
	failedAll = result{[2]bool{fives: true, gateways: true}}
	noAnswer  = result{[2]bool{gateways: true}}
)

// resultOf is what a failed call says. ok is false where it says nothing: the fault was not the endpoint's.
func resultOf(err error) (r result, ok bool) {
	var ue *Error
	if !errors.As(err, &ue) {
		return result{}, false
	}
	return resultOfReason(ue.Reason)
}

func resultOfReason(reason Reason) (result, bool) {
	switch reason {
	case ReasonConnect, ReasonTimeout, ReasonReset, ReasonProtocol:
		return noAnswer, true
	}
	return result{}, false
}

func resultOfStatus(status int) result {
	switch {
	case status >= 502 && status <= 504:
		return failedAll
	case status >= 500:
		return failed5xx
	}
	return succeeded
}

// resultOfGRPC judges a grpc-status: those that say something of the server and not of the call (gRPC, Status Codes).
func resultOfGRPC(code []byte) result {
	switch string(code) {
	case "14": // UNAVAILABLE
		return failedAll
	case "2", "13", "15": // UNKNOWN, INTERNAL, DATA_LOSS
		return failed5xx
	}
	return succeeded
}

// judgeHead judges by the head of an answer, or leaves that to the trailer.
func (ch Choice) judgeHead(call *Call) {
	if ch.cluster.rules.outlier == nil {
		return
	}
	if status := call.Resp.StatusCode(); status != 200 || !bytes.HasPrefix(call.Resp.ContentType(), []byte("application/grpc")) {
		ch.judge(resultOfStatus(status), true)
		return
	}
	if code := call.Resp.Peek("Grpc-Status"); len(code) > 0 {
		ch.judge(resultOfGRPC(code), true)
		return
	}
	if call.pending = call.choice.Endpoint != nil; !call.pending {
		ch.judgeTrailer(call.RespTrailer) // the body has ended already
	}
}

func (ch Choice) judgeTrailer(t *exchange.Trailer) {
	if t == nil {
		return
	}
	for _, f := range *t {
		if f.Name == "grpc-status" {
			ch.judge(resultOfGRPC([]byte(f.Value)), true)
		}
	}
}

// judge counts what a call says of its endpoint, if it does.
func (ch Choice) judge(r result, ok bool) {
	o := ch.cluster.rules.outlier
	if o == nil || !ok {
		return
	}
	for kind, failed := range r.failed {
		n := &ch.Endpoint.failures[kind]
		switch {
		case o.limits[kind] == 0:
		case failed:
			if n.Add(1) >= o.limits[kind] {
				ch.cluster.eject(ch.Endpoint, kind)
			}
		case n.Load() != 0 && !r.failed[gateways]: // an answer that did not come says nothing of statuses
			n.Store(0)
		}
	}
}

// eject takes an endpoint out, if not too many are.
func (c *Cluster) eject(e *Endpoint, kind int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.failures[kind].Store(0)
	out := 1
	for _, other := range c.list {
		if !other.ejected.IsZero() {
			out++
		}
	}
	if c.closed || !e.ejected.IsZero() || len(c.list) < 2 || out > max(1, len(c.list)*c.rules.outlier.percent/100) {
		return
	}
	now := time.Now()
	e.ejected = now.Add(c.rules.outlier.sentence(e, now))
	c.Meter.Ejected(causes[kind])
	c.rebuild()
	c.awaitReturn(now)
}

// sentence is how long an endpoint that fails now is out.
func (o *outlier) sentence(e *Endpoint, now time.Time) time.Duration {
	if !e.returned.IsZero() {
		e.ejections = max(0, e.ejections-int(now.Sub(e.returned)/o.base))
	}
	e.ejections++
	if int64(e.ejections) > int64(o.most/o.base) {
		return o.most
	}
	return time.Duration(e.ejections) * o.base
}

// awaitReturn waits for the end of the first ejection. The lock is held.
func (c *Cluster) awaitReturn(now time.Time) {
	var first time.Time
	for _, e := range c.list {
		if !e.ejected.IsZero() {
			first = earlier(first, e.ejected)
		}
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	if !first.IsZero() {
		c.timer = time.AfterFunc(first.Sub(now), c.takeBack)
	}
}

// takeBack lets those in whose time is over.
func (c *Cluster) takeBack() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	now := time.Now()
	for _, e := range c.list {
		if !e.ejected.IsZero() && !now.Before(e.ejected) {
			e.ejected, e.returned = time.Time{}, now
			e.failures[fives].Store(0)
			e.failures[gateways].Store(0)
			c.warmUp(e)
		}
	}
	c.rebuild()
	c.awaitReturn(now)
}
