// Package guard applies the rules of PromptGuardPolicies to model calls: to the bodies of requests and answers in the
// client's schema, whole or as the frames of a stream.
//
// It owns the compiled rules and their cache, the table of places in OpenAI's and Anthropic's schemas that hold no text, the walk
// over all other strings of a body, and the questions to webhooks. Scanning itself is package promptguard's; attempts,
// answers and usage are package llm's, which it must not import.
package guard
