package auth

import (
	"fmt"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

func run(b *testing.B, at *bench, fields ...string) {
	b.Helper()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		x := request("POST", "/v1/chat/completions")
		defer exchange.Release(x)
		for pb.Next() {
			for i := 0; i < len(fields); i += 2 {
				x.Req.Set(fields[i], fields[i+1])
			}
			at.chain.Request[0].OnRequest(x)
		}
	})
}

// BenchmarkAPIKey is one of 10,000 keys.
func BenchmarkAPIKey(b *testing.B) {
	at := newBench(b, keyPolicy("p", ""))
	for i := range 9999 {
		name := fmt.Sprint("caller-", i)
		at.rs[name] = callerOf(name, "key-of-"+name, "p")
	}
	at.caller("alice", alice, nil, "p")
	run(b, at, "Authorization", "Bearer "+alice)
}

// BenchmarkToken is a token that was verified before, and BenchmarkVerify one that was not.
func BenchmarkToken(b *testing.B) {
	run(b, newBench(b, jwtPolicy(b, "p", nil)), "Authorization", "Bearer "+sign(b, jose.RS256, rsaKey(), "rsa", claims(nil)))
}

func BenchmarkVerify(b *testing.B) {
	for alg, key := range map[jose.SignatureAlgorithm]any{jose.RS256: rsaKey(), jose.ES256: ecKey(), jose.EdDSA: edKey()} {
		id := map[jose.SignatureAlgorithm]string{jose.RS256: "rsa", jose.ES256: "ec", jose.EdDSA: "ed"}[alg]
		b.Run(string(alg), func(b *testing.B) {
			at := newBench(b, jwtPolicy(b, "p", nil))
			at.auth.tokens.most = 0 // nothing is remembered
			run(b, at, "Authorization", "Bearer "+sign(b, alg, key, id, claims(nil)))
		})
	}
}

// BenchmarkUpdate is a change of anything where there are 10,000 callers.
func BenchmarkUpdate(b *testing.B) {
	at := newBench(b, keyPolicy("p", ""))
	for i := range 10000 {
		name := fmt.Sprint("caller-", i)
		at.rs[name] = callerOf(name, "key-of-"+name, "p")
	}
	for b.Loop() {
		at.auth.Update(at.rs)
	}
}
