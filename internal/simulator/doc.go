// Package simulator is a model provider that needs no model: it speaks the wire protocols of OpenAI (and Azure OpenAI),
// Anthropic, Gemini and Ollama, for demonstrations, tests and load.
//
// Answers are generated from the request alone, so equal requests get equal answers (ids included; only timestamps move).
// A chat is answered by a short text that names the model and quotes the last user message. Tools are called with arguments
// that fit their schema: the tools that the last user message names, else the first one. Structured output fits the schema
// asked for. Limits (max_tokens), stop sequences, reasoning and token usage are honoured as the vendors document them.
// One thing is remembered between requests, as at Anthropic: which prompt prefixes were cached.
//
// # Directives
//
// Faults, latencies and sizes are set by directives. They come from four places, a later one winning over an earlier one:
//
//   - Options.Directives, for every request
//   - a suffix of the model name: "sim?status=429&retry-after=3"
//   - the last message, if it is the user's: "Hello [[simulate: first-token=2s delay=20ms]]" (removed from what is quoted)
//   - request headers: "x-simulate-first-token: 2s"
//
// A switch such as reset may be written without a value. Times are Go durations ("250ms"); k counts the events of a stream
// that were written before (k=0: the head only). Directives that speak of events apply to streams; on an answer that is not
// streamed cut-after and hang-after stop halfway through the body and malformed-after breaks its JSON, whatever k is.
//
//	head=D             wait before the response head
//	first-token=D      wait before the first event with content (an answer that is not streamed: before the head)
//	delay=D            wait before each further content event (not streamed: the sum of these, before the head)
//	tokens=N           generate N words instead of the short text
//	bytes=N            generate N bytes instead of the short text
//	status=N           answer the vendor's error body for status N (400 to 599)
//	error-code=S       the code of that error where the vendor has one (OpenAI "insufficient_quota")
//	retry-after=S      send Retry-After (seconds or an HTTP date in which '_' stands for a space)
//	retry-after-ms=N   send retry-after-ms, as OpenAI does
//	retry-delay=D      send Google's RetryInfo.retryDelay in the error's details
//	reset              reset the connection before anything is written
//	hang               write nothing until the client leaves
//	hang-after=K       fall silent after k events
//	cut-after=K        close the connection after k events, without the terminator
//	error-after=K      send the vendor's error event after k events and end (its kind comes from error-status)
//	error-status=N     status that the error event stands for (default 500)
//	malformed-after=K  send an event with broken JSON after k events and go on
//	omit-usage         leave the token usage out
//	refuse             refuse to answer, in the vendor's way
//	calls=N            number of tool calls (0: none)
//	reasoning=N        number of reasoning tokens
//	show-reasoning     OpenAI: send the reasoning as reasoning_content, as compatible servers do
//	cached=N           prompt tokens reported as read from the cache
//	echo=A,B           answer the request headers A and B as x-echo-A and x-echo-B
//	header=NAME:VALUE  add a response header
//
// The package must not import the gateway or the control plane: it is the other side of the wire.
package simulator
