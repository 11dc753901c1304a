package promptguard_test

import (
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/promptguard"
)

// TestLongPrivateKey: a key that is longer than any match can be is refused, whole or streamed, where its end would flow on.
func TestLongPrivateKey(t *testing.T) {
	line := strings.Repeat("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7", 1) + "\n"
	key := "see: -----BEGIN RSA PRIVATE KEY-----\n" + strings.Repeat(line, 300) + "-----END RSA PRIVATE KEY-----\nthat was it"
	for _, c := range []struct{ action, want promptguard.Action }{
		{promptguard.Block, promptguard.Block}, {promptguard.Mask, promptguard.Block},
		{promptguard.Hash, promptguard.Block}, {promptguard.Audit, promptguard.Audit},
	} {
		s := compile(t, promptguard.Rule{Name: "r", Builtin: []string{"Secrets"}, Action: c.action})
		v, err := s.Inspect(t.Context(), promptguard.Text{Content: []byte(key)})
		if err != nil || v.Action != c.want {
			t.Fatalf("%v: got %v, %v", c.action, v, err)
		}
		whole := outcome(s, [][]byte{[]byte(key)})
		for seed := range uint64(20) {
			if got := outcome(s, split([]byte(key), seed)); got != whole {
				t.Fatalf("%v, split %d: %.200q, want %.200q", c.action, seed, got, whole)
			}
		}
	}
	short := "-----BEGIN RSA PRIVATE KEY-----\n" + strings.Repeat(line, 100) + "-----END RSA PRIVATE KEY-----\n"
	s := compile(t, promptguard.Rule{Name: "r", Builtin: []string{"Secrets"}, Action: promptguard.Mask})
	if got := mask(t, s, promptguard.NewVault(nil), short); strings.Contains(got, "MII") || strings.Contains(got, "END") {
		t.Error(got)
	}
}
