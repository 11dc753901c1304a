// Package llm ends the rules whose backend is an AIProvider or an AIBackend: it reads a model call, picks who answers it,
// falls back to the next when that fails, and answers in the client's own schema, streamed or whole.
//
// The way of a request is Handler.Serve in handler.go. It owns cool-downs and circuit breakers of targets, which outlive
// tables. It is the only package of the data plane that knows both the model of a call (ai) and the tokenizer; it must not
// import tables, servers or filters.
//
// # What is forwarded
//
// Nothing of the client's head goes to a provider but what the schema itself defines (Anthropic's beta features). With
// passthrough authentication the client's credentials go along as they came.
//
// # When nobody is fit
//
// Targets that cool down (the provider said Retry-After) or whose circuit is open are passed over. If that leaves none, the
// one that recovers first is asked nevertheless, once: the provider's own answer, with its status and Retry-After, is worth
// more to a client than the gateway's guess, and a gateway with one provider must not invent outages.
//
// # Failures of a stream
//
// Until a target has generated something, nothing is written but keep-alives, so that the next target can take over. A
// stream that fails later ends in an error event of the client's schema, without the mark of a complete answer.
package llm
