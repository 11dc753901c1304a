// Package promptguard finds what must not be said in a text, and blocks, masks, hashes or notes it: personal data, secrets,
// prompt injection, and the keywords and regular expressions of a user. It works on whole texts and on live streams, with
// the same outcome however a stream is cut into chunks.
//
// It owns the detectors, the scanning of a text in one pass for all of them, the vault that remembers what was masked
// within one request, and guards behind a webhook (package webhook). It speaks bytes and offsets: it must not import the
// packages that know requests (ai, gateway), tokenizer, ratelimit or anything of Kubernetes.
//
// How a text is scanned: a prefilter looks at every second position for one of the rare three-byte sequences that a
// literal of some rule must contain, for digits and for a few signs, and calls the detectors that can start there. Each
// detector is a function of the text around a start: it may look 128 bytes back and as far ahead as its longest match, and
// says yes, no, or that it must see more. That last answer is what a stream holds text back for; nothing else is held.
package promptguard
