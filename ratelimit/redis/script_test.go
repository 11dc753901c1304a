package redis

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/ratelimit"
)

func TestHashSlot(t *testing.T) {
	f := func(key string, want uint16) {
		t.Helper()
		if got := hashSlot(key); got != want {
			t.Errorf("%q is in slot %d, expected %d", key, got, want)
		}
	}
	f("123456789", 0x31c3) // the specification's own example
	f("{123456789}x", 0x31c3)
	f("a{123456789}b{c}", 0x31c3)
	f("", 0)
	if hashSlot("{}123456789") == 0x31c3 || hashSlot("{123456789") == 0x31c3 {
		t.Error("an empty or open tag counts")
	}
}

func TestTerm(t *testing.T) {
	f := func(window, want time.Duration) {
		t.Helper()
		if got := termOf(window, false); got != int64(want) {
			t.Errorf("%s: leases of %s, expected %s", window, time.Duration(got), want)
		}
	}
	f(time.Second, 0)
	f(4*time.Second, 200*time.Millisecond)
	f(time.Minute, 3*time.Second)
	f(time.Hour, 5*time.Second)
	if got := termOf(0, true); got != int64(5*time.Second) {
		t.Error(got)
	}
}

func TestDemand(t *testing.T) {
	var d demand
	ms := int64(time.Millisecond)
	for i := range int64(10) {
		d.add(100, 1000+i*10*ms)
	}
	want, least := d.lease(1000+100*ms, int64(4*time.Second))
	if want != 20_000 || least != 401 { // 1000 within 100 ms, for 2 s
		t.Error(want, least)
	}
	d.add(100, 1000+10_000*ms)
	d.add(100, 1000+20_000*ms)
	if want, _ := d.lease(1000+20_000*ms, int64(4*time.Second)); want != 0 {
		t.Errorf("twice in 10 s: %d", want)
	}
}

// numbers reads back what was written.
func (n numbers) values() ([]int64, error) { return decode(string(n)) }

func FuzzNumbers(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 127, 0, 0, 0, 0, 0, 0, 0, 128, 0, 31, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		var want []int64
		n := newNumbers(nil)
		for ; len(b) >= 8; b = b[8:] {
			v := int64(binary.BigEndian.Uint64(b))
			n.add(v)
			want = append(want, min(max(v, 0), exact))
		}
		got, err := n.values()
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%v: %v, %v", want, got, err)
		}
	})
}

// FuzzReply: no reply crashes or allocates more than it is long.
func FuzzReply(f *testing.F) {
	f.Add("\x93\x01\xcd\x01\x00\xff")
	f.Add("\xdd\xff\xff\xff\xff")
	f.Add("\x91\xd3\x80\x00\x00\x00\x00\x00\x00\x00")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := decode(s)
		if err == nil && len(v) > len(s) || err != nil && !errors.Is(err, errReply) {
			t.Errorf("%q: %v %v", s, v, err)
		}
		g := group{accounts: make([]*account, 1), requests: make([][]*ask, 1)}
		if err := g.read(s); err == nil && len(g.answer) != 0 && len(g.answer) != perAccount+perRequest {
			t.Errorf("%q: %v", s, g.answer)
		}
	})
}

func TestDecode(t *testing.T) {
	f := func(in string, want ...int64) {
		t.Helper()
		got, err := decode(in)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v, expected %v", in, got, err, want)
		}
	}
	f("\x90")
	f("\x95\x00\x7f\xff\xe0\xcc\x80", 0, 127, -1, -32, 128)
	f("\xdc\x00\x02\xcd\xff\xff\xce\xff\xff\xff\xff", 65535, 1<<32-1)
	f("\xdd\x00\x00\x00\x02\xd0\x80\xd1\x80\x00", -128, -32768)
	f("\x92\xcf\x00\x1f\xff\xff\xff\xff\xff\xff\xd3\xff\xff\xff\xff\xff\xff\xff\xff", exact, -1)
	f("\x91\xd2\xff\xff\xff\xff", -1)
}

func TestOptions(t *testing.T) {
	o := Options{TTL: time.Second}.withDefaults()
	if o.TTL != 10*time.Second || o.Timeout != 250*time.Millisecond || o.Replicas() != 1 || o.Prefix == "" {
		t.Errorf("%+v", o)
	}
}

// TestLocalDraw: where a lease holds, a reservation needs no round trip, and allocates what its grant is made of.
func TestLocalDraw(t *testing.T) {
	l, b := leased(t)
	charges := []ratelimit.Charge{{Bucket: b, Amount: 10}}
	actual := []int64{7}
	if n := testing.AllocsPerRun(100, func() {
		g, err := l.Reserve(t.Context(), "a", charges)
		if err != nil {
			t.Fatal(err)
		}
		l.Settle(t.Context(), g, actual)
	}); n > 2 {
		t.Errorf("%v allocations", n)
	}
	if s := l.Stats(); s.RoundTrips != 0 || s.Leased == 0 {
		t.Errorf("%+v", s)
	}
}

// leased is a limiter without a store that holds a lease.
func leased(t testing.TB) (*Limiter, ratelimit.Bucket) {
	l := newLimiter(nil, Options{})
	b := ratelimit.Bucket{Key: "team", Limit: 1 << 50, Window: ratelimit.Sliding(time.Minute)}
	a, err := l.account(&b, l.now())
	if err != nil {
		t.Fatal(err)
	}
	a.lease, a.until = 1<<49, l.now()+int64(time.Hour)
	a.mu.Unlock()
	return l, b
}

func BenchmarkLeasedReserve(b *testing.B) {
	l, bucket := leased(b)
	charges := []ratelimit.Charge{{Bucket: bucket, Amount: 10}}
	actual := []int64{7}
	b.ReportAllocs()
	for b.Loop() {
		g, err := l.Reserve(b.Context(), "a", charges)
		if err != nil {
			b.Fatal(err)
		}
		l.Settle(b.Context(), g, actual)
	}
}

func BenchmarkDraw(b *testing.B) {
	l, bucket := leased(b)
	b.ReportAllocs()
	for b.Loop() {
		now := l.now()
		a, err := l.account(&bucket, now)
		if err != nil {
			b.Fatal(err)
		}
		if _, ok := a.draw(1, now); !ok {
			b.Fatal("not drawn")
		}
		a.mu.Unlock()
	}
}
