// Package limit enforces TokenPolicies, and what RoutePolicies say of requests: it makes buckets of a request's key values, reserves
// what a call will probably use, keeps reservations alive while the call runs, and settles what it has used.
//
// It owns the store of limits (memory, or a Redis that replicas share), the queues of those who wait for room, and what is
// learned of how much calls use. It must not import package llm, which says what a call is, or tables and servers.
//
// # Buckets
//
// A policy has one bucket for each limit and each value of the limit's key, whatever it targets: a policy on two routes is one
// budget for both. In the store a bucket is named by policy, limit and unit, and by a hash of the key's values: no text of a
// client reaches the store, metrics or logs.
//
// # Estimates
//
// Of a limit that counts output, what a call will probably generate is reserved: four of five of the last 32 calls with the same
// bucket and model generated no more. Of unknown ones it is what the model's other callers needed, or 512 tokens. max_tokens
// and the limit itself bound it. So a client that always asks for more than it uses does not use its limit up.
//
// # Settling
//
// Neither store needs a round trip to settle: the Redis store reports in the background, within 50 ms, in batches that are
// bounded by the number of buckets. So a settlement never delays the last byte of an answer.
package limit
