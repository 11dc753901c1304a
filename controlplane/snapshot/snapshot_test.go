package snapshot

import (
	"slices"
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

func secret(key, value string) *xdsv1.Resource {
	o := &xdsv1.Opaque{Data: map[string][]byte{"a": []byte(value), "b": nil}}
	return &xdsv1.Resource{Kind: &xdsv1.Resource_Secret{Secret: &xdsv1.Secret{Key: key, Kind: &xdsv1.Secret_Opaque{Opaque: o}}}}
}

func build(t *testing.T, rs ...*xdsv1.Resource) *Snapshot {
	t.Helper()
	m := map[string]*xdsv1.Resource{}
	for _, r := range rs {
		m[xdsv1.KeyOf(r)] = r
	}
	s, err := New(m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDiff(t *testing.T) {
	old := build(t, secret("secret/a/same", "1"), secret("secret/a/edited", "1"), secret("secret/a/gone", "1"))
	now := build(t, secret("secret/a/same", "1"), secret("secret/a/edited", "2"), secret("secret/a/new", "1"))
	set, removed := now.Diff(old)
	var keys []string
	for _, k := range now.Keys() {
		if set[k] != nil {
			keys = append(keys, k)
		}
	}
	if !slices.Equal(keys, []string{"secret/a/edited", "secret/a/new"}) || !slices.Equal(removed, []string{"secret/a/gone"}) {
		t.Errorf("set %v, removed %v", keys, removed)
	}
	if set, removed := now.Diff(now); len(set)+len(removed) > 0 {
		t.Errorf("a snapshot differs from itself: %v %v", set, removed)
	}
	if set, _ := now.Diff(nil); len(set) != 3 {
		t.Errorf("since nothing: %v", set)
	}
}
