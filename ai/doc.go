// Package ai is the model of one call to a language model, and of the two sides of a vendor's schema: a Dialect speaks
// with clients, a Provider with the vendor.
//
// Between dialects everything goes through the canonical Chat, Completion and Event (N+M translations). Where client and
// provider speak the same schema, Bypass forwards the bytes and the canonical model is only looked at, so that fields
// that nobody here knows survive.
//
// The package speaks bytes. It imports no HTTP implementation, no Kubernetes and no store, so that each dialect can be
// tested and measured alone. The vendors live in sub-packages; package vendors lists them.
package ai
