package limit

import (
	"context"
	"strings"
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

func TestParseURL(t *testing.T) {
	f := func(url, addrs, master string, cluster, tls bool, db int) {
		t.Helper()
		o, err := ParseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Join(o.Addrs, " ") != addrs || o.MasterName != master || o.IsClusterMode != cluster || (o.TLSConfig != nil) != tls || o.DB != db {
			t.Errorf("%s: %+v", url, o)
		}
		user, password := o.Username, o.Password
		if master != "" { // there they are of the Sentinels
			user, password = o.SentinelUsername, o.SentinelPassword
			if o.Password != "q" {
				t.Errorf("%s: password %q", url, o.Password)
			}
		}
		if strings.Contains(url, "user:") && (user != "user" || password != "p w") {
			t.Errorf("%s: user %q, password %q", url, user, password)
		}
	}
	f("redis://localhost:6379", "localhost:6379", "", false, false, 0)
	f("redis://user:p%20w@localhost/3", "localhost:6379", "", false, false, 3)
	f("rediss://user:p%20w@redis:1", "redis:1", "", false, true, 0)
	f("redis://user:p%20w@a:1?addr=b:2&addr=c:3", "a:1 b:2 c:3", "", true, false, 0)
	f("redis://a:1?cluster=true", "a:1", "", true, false, 0)
	f("redis://user:p%20w@a:1/2?addr=b:2&master_name=m&password=q", "a:1 b:2", "m", false, false, 2)

	bad := func(url, says string) {
		t.Helper()
		_, err := ParseURL(url)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
	bad("http://u:hunter2@x", "http")
	bad("redis://u:hunter2@[::1", "not a URL")
	bad("redis://u:hunter2@x/hunter2", "cannot be read")
	bad("redis://u:hunter2@x?dial_timeout=hunter2", "cannot be read")
}

func FuzzParseURL(f *testing.F) {
	f.Add("redis://user:password@a:1/2?addr=b:2&master_name=m")
	f.Add("rediss://a?cluster=true")
	f.Fuzz(func(t *testing.T, text string) {
		if o, err := ParseURL(text); err == nil && o == nil {
			t.Error("nothing")
		}
	})
}

// What was reserved in a store is settled there, and the store is closed when nobody needs it.
func TestStoreIsReplacedWhileCallsRun(t *testing.T) {
	l := newLimits(t, Options{})
	set, _ := sets(t, l, tokenPolicy("p", &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{minute("a", xdsv1.LimitUnit_TOKENS, 1000)}}))
	lease, r := l.Reserve(set, subject(t), call{input: 10}, true)
	if r != nil {
		t.Fatal(r.Message)
	}
	old := l.current.Load()
	secret := &xdsv1.Resource{Kind: &xdsv1.Resource_Secret{Secret: &xdsv1.Secret{Key: "secret/a/b", Kind: &xdsv1.Secret_Opaque{
		Opaque: &xdsv1.Opaque{Data: map[string][]byte{"username": []byte("u\n"), "password": []byte("hunter2\n")}}}}}}
	w := &xdsv1.RateLimitStore{Addresses: []string{"127.0.0.1:1"}, Secret: "secret/a/b", Replicas: 3, Tls: &xdsv1.StoreTLS{ServerName: "redis"}}
	if err := l.SetStore(w, map[string]*xdsv1.Resource{"secret/a/b": secret}); err != nil {
		t.Fatal(err)
	}
	o := l.store.redis
	if o.Username != "u" || o.Password != "hunter2" || o.TLSConfig.ServerName != "redis" || l.store.replicas != 3 {
		t.Errorf("%+v", o)
	}
	now := l.current.Load()
	if now == old || now.redis == nil {
		t.Error("the store is the old one")
	}
	if err := l.SetStore(w, map[string]*xdsv1.Resource{"secret/a/b": secret}); err != nil || l.current.Load() != now {
		t.Error("the same store is another one", err)
	}
	if old.leases.Load() != 1 {
		t.Error("the old store is let go while a call needs it")
	}
	lease.Settle(Usage{Requests: 1, Input: 10})
	if old.leases.Load() != 0 || old.memory.Stats().Reservations != 0 {
		t.Error("the call did not settle where it reserved")
	}
	if err := l.SetStore(&xdsv1.RateLimitStore{Addresses: []string{"a:1"}, Secret: "secret/a/c"}, nil); err == nil || !strings.Contains(err.Error(), "rate_limit_store.secret: secret/a/c has no password") {
		t.Error(err)
	}
	if l.current.Load() != now {
		t.Error("a store that cannot be made takes the place of one that can")
	}
	if err := l.SetStore(nil, nil); err != nil || l.current.Load().memory == nil {
		t.Error("limits are not in memory again", err)
	}
	l.Close(context.Background())
}

// A store that was never there: a policy that fails open is enforced here, by this replica's share.
func TestStoreAway(t *testing.T) {
	l := newLimits(t, Options{Redis: "redis://127.0.0.1:1", Replicas: 2})
	open, _ := sets(t, l, tokenPolicy("open", &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{minute("a", xdsv1.LimitUnit_REQUESTS, 10)}}))
	closed, _ := sets(t, l, tokenPolicy("closed", &xdsv1.TokenLimit{FailureMode: xdsv1.TokenLimit_CLOSED, Limits: []*xdsv1.Limit{minute("a", xdsv1.LimitUnit_REQUESTS, 10)}}))
	warn, _ := sets(t, l, tokenPolicy("warn", &xdsv1.TokenLimit{OnLimit: xdsv1.TokenLimit_WARN, FailureMode: xdsv1.TokenLimit_CLOSED, Limits: []*xdsv1.Limit{minute("a", xdsv1.LimitUnit_REQUESTS, 10)}}))
	granted := 0
	for range 20 {
		lease, r := l.Reserve(open, subject(t), call{}, true)
		if r == nil {
			granted++
			lease.Settle(Usage{Requests: 1})
		}
	}
	if granted != 5 {
		t.Errorf("granted %d, expected half of 10", granted)
	}
	if _, r := l.Reserve(closed, subject(t), call{}, true); r == nil || r.Status != 503 || !strings.Contains(r.Message, "cannot be reached") {
		t.Errorf("%+v", r)
	}
	lease, r := l.Reserve(warn, subject(t), call{}, true)
	if r != nil {
		t.Fatal(r.Message)
	}
	lease.Release()
}
