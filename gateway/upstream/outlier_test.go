package upstream

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// serve starts a server that answers what f says, and returns its endpoint.
func serve(t *testing.T, f http.HandlerFunc) *xdsv1.Endpoint {
	s := httptest.NewUnstartedServer(f)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return endpoint(s.Listener.Addr())
}

func endpoint(a net.Addr) *xdsv1.Endpoint {
	tcp := a.(*net.TCPAddr)
	return &xdsv1.Endpoint{Address: tcp.IP.String(), Port: uint32(tcp.Port)}
}

func answers(status *atomic.Int32) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }
}

func address(e *xdsv1.Endpoint) string {
	return net.JoinHostPort(e.Address, strconv.Itoa(int(e.Port)))
}

// sent counts where n requests went; failed calls are not errors here.
func sent(c *Cluster, n int) map[string]int {
	got := map[string]int{}
	for range n {
		call := call()
		c.Do(background{}, call)
		got[call.At]++
		call.RespBody.Close()
	}
	return got
}

// until waits for a condition.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("never: " + what)
		}
	}
}

func outliers(base time.Duration) *xdsv1.LoadBalancing {
	return &xdsv1.LoadBalancing{Outlier: &xdsv1.Outlier{
		Consecutive_5Xx: 3, ConsecutiveGatewayErrors: 2, BaseEjectionTime: durationpb.New(base), MaxEjectionTime: durationpb.New(3 * base), MaxEjectionPercent: 50,
	}}
}

func TestEndpointsThatFailAreTakenOut(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		for status, after := range map[int32]int{500: 3, 503: 2} {
			var bad, good atomic.Int32
			bad.Store(status)
			good.Store(200)
			a, b := serve(t, answers(&bad)), serve(t, answers(&good))
			c := NewCluster(Config{H2: h2, LoadBalancing: outliers(time.Hour)})
			t.Cleanup(c.Close)
			c.SetEndpoints([]*xdsv1.Endpoint{a, b})
			if got := sent(c, 20); got[address(a)] != after {
				t.Errorf("status %d, h2 %t: %v, the bad one after %d", status, h2, got, after)
			}
		}
	}
}

func TestEndpointsThatDoNotAnswerAreTakenOut(t *testing.T) {
	var good atomic.Int32
	good.Store(200)
	dead := serve(t, func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	alive := serve(t, answers(&good))
	c := NewCluster(Config{LoadBalancing: outliers(time.Hour)})
	t.Cleanup(c.Close)
	c.SetEndpoints([]*xdsv1.Endpoint{dead, alive})
	if got := sent(c, 20); got[address(dead)] != 2 {
		t.Errorf("%v", got)
	}
}

func TestGRPCStatusesCount(t *testing.T) {
	for _, inHead := range []bool{true, false} {
		bad := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			if inHead {
				w.Header().Set("Grpc-Status", "14")
				return
			}
			w.Write([]byte("x"))
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "14")
		})
		good := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Grpc-Status", "5") // NOT_FOUND is an answer
		})
		c := NewCluster(Config{H2: true, LoadBalancing: outliers(time.Hour)})
		t.Cleanup(c.Close)
		c.SetEndpoints([]*xdsv1.Endpoint{bad, good})
		got := map[string]int{}
		for range 20 {
			call := call()
			if err := c.Do(background{}, call); err != nil {
				t.Fatal(err)
			}
			got[call.At]++
			readCheck(call)
		}
		if got[address(bad)] != 2 {
			t.Errorf("in the head %t: %v", inHead, got)
		}
	}
}

func TestEjectedEndpointsReturn(t *testing.T) {
	var bad, good atomic.Int32
	bad.Store(503)
	good.Store(200)
	a, b := serve(t, answers(&bad)), serve(t, answers(&good))
	c := NewCluster(Config{LoadBalancing: outliers(50 * time.Millisecond)})
	t.Cleanup(c.Close)
	c.SetEndpoints([]*xdsv1.Endpoint{a, b})
	sent(c, 20)
	bad.Store(200)
	until(t, "the endpoint is back", func() bool { return sent(c, 4)[address(a)] == 2 })
}

func TestSentencesGrow(t *testing.T) {
	o := newOutlier(outliers(time.Second).Outlier)
	e := &Endpoint{}
	now := time.Unix(1000, 0)
	for _, want := range []time.Duration{1, 2, 3, 3} {
		if got := o.sentence(e, now); got != want*time.Second {
			t.Errorf("%s, not %s", got, want*time.Second)
		}
		now = now.Add(time.Minute)
		e.returned = now
	}
	if got := o.sentence(e, now.Add(time.Hour)); got != time.Second {
		t.Errorf("after an hour: %s", got)
	}
}

func TestNotTooManyAreTakenOut(t *testing.T) {
	for n, most := range map[int]int{1: 0, 2: 1, 3: 1, 4: 2, 10: 5} {
		c := balanced(t, outliers(time.Hour), addresses(n))
		for _, e := range c.list {
			for range 5 {
				Choice{e, c}.judge(failedAll, true)
			}
		}
		out := 0
		for _, e := range c.list {
			if e.out() {
				out++
			}
		}
		if out != most {
			t.Errorf("%d of %d are out, not %d", out, n, most)
		}
	}
}

func TestSuccessEndsARow(t *testing.T) {
	c := balanced(t, outliers(time.Hour), addresses(2))
	ch := Choice{c.list[0], c}
	for range 10 {
		ch.judge(failed5xx, true)
		ch.judge(failed5xx, true)
		ch.judge(succeeded, true)
	}
	if c.list[0].out() {
		t.Error("ejected without three in a row")
	}
}

func TestRetriesAreBounded(t *testing.T) {
	b := newBudget(&xdsv1.RetryBudget{Percent: 20, Interval: durationpb.New(time.Hour), MinRetries: 3, MinInterval: durationpb.New(time.Hour)})
	allowed := func(n int) (got int) {
		for range n {
			if b.retry() {
				got++
			}
		}
		return got
	}
	if got := allowed(10); got != 3 {
		t.Errorf("without requests: %d, not the least of 3", got)
	}
	for range 100 {
		b.request()
	}
	if got := allowed(100); got != 17 {
		t.Errorf("of 100 requests: %d more, not 17", got)
	}
}

func TestWindowForgets(t *testing.T) {
	w := window{step: time.Second}
	now := time.Unix(1_000_000, 0)
	for i := range 100 {
		w.add(now.Add(time.Duration(i) * 100 * time.Millisecond))
	}
	for after, want := range map[time.Duration]uint64{9 * time.Second: 100, 10 * time.Second: 90, 15 * time.Second: 40, time.Hour: 0} {
		v := w
		if got := v.sum(now.Add(after)); got != want {
			t.Errorf("after %s: %d, not %d", after, got, want)
		}
	}
}

// TestConnectionsElsewhereAreRetries: where a connection cannot be made another endpoint is tried, as far as the budget goes.
func TestConnectionsElsewhereAreRetries(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close() // nobody listens there
	var good atomic.Int32
	good.Store(200)
	f := func(least uint32) (retried, failed int) {
		alive := serve(t, answers(&good))
		c := NewCluster(Config{LoadBalancing: &xdsv1.LoadBalancing{RetryBudget: &xdsv1.RetryBudget{
			Interval: durationpb.New(time.Hour), MinRetries: least, MinInterval: durationpb.New(time.Hour),
		}}})
		t.Cleanup(c.Close)
		c.SetEndpoints([]*xdsv1.Endpoint{endpoint(ln.Addr()), alive})
		for range 20 { // about every other one meets the dead endpoint first
			call := call()
			if c.Do(background{}, call) != nil {
				failed++
			}
			call.RespBody.Close()
		}
		return int(c.budget.retries.total), failed
	}
	if retried, failed := f(0); retried != 0 || failed == 0 {
		t.Errorf("without retries %d, and %d calls failed", retried, failed)
	}
	if retried, failed := f(3); retried != 3 || failed == 0 {
		t.Errorf("of three %d retries, and %d calls failed", retried, failed)
	}
	if retried, failed := f(100); retried == 0 || failed != 0 {
		t.Errorf("with enough %d retries, and %d calls failed", retried, failed)
	}
}
