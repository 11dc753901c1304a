package exchange

import (
	"context"
	"testing"
	"time"
)

func TestGRPCTimeout(t *testing.T) {
	f := func(value string, want time.Duration) {
		t.Helper()
		x := Acquire(context.Background(), nil)
		defer Release(x)
		x.Req.Set("Grpc-Timeout", value)
		if got := x.GRPCTimeout(); got != want {
			t.Errorf("%q: %v, not %v", value, got, want)
		}
	}
	f("1H", time.Hour)
	f("2M", 2*time.Minute)
	f("3S", 3*time.Second)
	f("40m", 40*time.Millisecond)
	f("50u", 50*time.Microsecond)
	f("60n", 60)
	f("99999999S", 99999999*time.Second)
	f("99999999H", 0)
	f("0S", 0)
	f("", 0)
	f("S", 0)
	f("1", 0)
	f("+1S", 0)
	f("-1S", 0)
	f("1s", 0)
	f("123456789S", 0)
}

func TestRepliesOfGRPC(t *testing.T) {
	f := func(proto int, contentType string, status int, want string) {
		t.Helper()
		x := Acquire(context.Background(), nil)
		defer Release(x)
		x.Proto = proto
		x.Req.SetContentType(contentType)
		x.Reply(status, "text")
		if got := string(x.GRPCStatus()); got != want || (want == "") != (x.Resp.StatusCode() == status) {
			t.Errorf("%d %s %d: %q with %d", proto, contentType, status, got, x.Resp.StatusCode())
		}
	}
	f(2, "application/grpc", 404, "12")
	f(2, "application/grpc+proto", 500, "14")
	f(2, "application/grpc; charset=x", 504, "4")
	f(2, "application/grpc", 429, "8")
	f(2, "application/grpc", 401, "16")
	f(2, "application/grpc", 418, "2")
	f(2, "application/grpc-web", 404, "12")
	f(1, "application/grpc-web-text+proto; charset=x", 504, "4")
	f(1, "application/grpc-webby", 404, "")
	f(2, "application/json", 404, "")
	f(1, "application/grpc", 404, "")
}
