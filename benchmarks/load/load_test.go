package load

import (
	"bytes"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/benchmarks/upstream"
)

func start(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go upstream.Serve(ln)
	return ln.Addr().String()
}

func run(t *testing.T, j Job) *Result {
	t.Helper()
	r, err := Run(t.Context(), j, func() {}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func chat(path, model string) []byte {
	return NewRequest("benchmark.example", path, "application/json", []byte(`{"model":"`+model+`","stream":true}`))
}

func TestWholeAnswersAreCounted(t *testing.T) {
	asked := 0
	j := Job{Addr: start(t), Request: NewRequest("benchmark.example", "/echo", "text/plain", bytes.Repeat([]byte("x"), 40<<10)), Conns: 3,
		Warm: 10 * time.Millisecond, Duration: 50 * time.Millisecond}
	r, err := Run(t.Context(), j, func() { asked++ }, func() { asked++ })
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests() < 3 || r.Errors > 0 || asked != 2 || r.Elapsed < j.Duration {
		t.Errorf("%d requests, %d errors (%v), %d marks, %v", r.Requests(), r.Errors, r.LastError, asked, r.Elapsed)
	}
	if !slices.IsSorted(r.Latencies) || r.Latencies[0] <= 0 || len(r.First) > 0 {
		t.Errorf("latencies %v, first events %v", r.Latencies, r.First)
	}
}

func TestEventsOfStreamsAreTimed(t *testing.T) {
	addr := start(t)
	for _, path := range []string{"/v1/chat/completions", "/v1/messages"} {
		r := run(t, Job{Addr: addr, Request: chat(path, "any/stream-5-10ms"), Conns: 2, Events: 5, Duration: time.Millisecond})
		if r.Requests() != 2 || r.Errors > 0 {
			t.Fatalf("%s: %d requests, %d errors: %v", path, r.Requests(), r.Errors, r.LastError)
		}
		if got := time.Duration(r.Latencies[0]); got < 40*time.Millisecond {
			t.Errorf("%s: a stream with 4 pauses of 10 ms took %v", path, got)
		}
		if len(r.Delays) != 10 || len(r.First) != 2 || r.Delays[0] < 0 || r.First[1] > r.Latencies[0] {
			t.Errorf("%s: delays %v, first %v, whole %v", path, r.Delays, r.First, r.Latencies)
		}
	}
}

func TestAnAnswerWithTooFewEventsIsAnError(t *testing.T) {
	r := run(t, Job{Addr: start(t), Request: chat("/v1/messages", "stream-4-0s"), Conns: 1, Events: 5, Duration: time.Millisecond})
	if r.Requests() != 0 || len(r.Delays) != 0 || r.Errors == 0 || !strings.Contains(r.LastError.Error(), "4 events") {
		t.Errorf("%d requests, %d delays, %d errors: %v", r.Requests(), len(r.Delays), r.Errors, r.LastError)
	}
}

func TestAServerThatRefusesIsNotMeasured(t *testing.T) {
	j := Job{Addr: start(t), Request: []byte("nonsense\r\n\r\n"), Conns: 2, Warm: time.Second, Duration: time.Hour}
	_, err := Run(t.Context(), j, func() { t.Error("the measurement began") }, func() {})
	if err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("error %v, want the status", err)
	}
}

func TestStampsAreFoundInPieces(t *testing.T) {
	const text = `{"x":"a@b @1750000000123456789# @12# @@1750000000123456790#"}`
	for size := 1; size <= len(text); size++ {
		var got []int64
		s := scanner{found: func(n int64) { got = append(got, n) }}
		for p := range slices.Chunk([]byte(text), size) {
			s.scan(p)
		}
		if want := []int64{1750000000123456789, 1750000000123456790}; !slices.Equal(got, want) {
			t.Fatalf("in pieces of %d: %v, want %v", size, got, want)
		}
	}
}

func TestChunkSize(t *testing.T) {
	f := func(in string, want int, ok bool) {
		t.Helper()
		if n, err := chunkSize([]byte(in)); n != want || (err == nil) != ok {
			t.Errorf("%q: %d, %v", in, n, err)
		}
	}
	f("0", 0, true)
	f("1aF", 0x1af, true)
	f("", 0, false)
	f("1;x", 0, false)
	f("11111111", 0, false)
}
