package ai

// Dialect is the client side of a schema. Implementations are stateless and safe for concurrent use.
type Dialect interface {
	Schema() Schema

	// Peek validates the body (syntax, UTF-8, no key twice in an object) and fills in all but Raw of r in one scan, without
	// decoding. Its errors are *Error of status 400.
	Peek(op Op, body []byte, r *Request) error
	// DecodeChat decodes OpChat, OpCompletion and OpCountTokens. Errors are *Error of status 400 that name the parameter.
	DecodeChat(op Op, body []byte) (*Chat, error)
	// ReadPlain reads a chat of nothing but text into p, which is empty, without decoding it; false: it is another one, or malformed, and
	// what is in p means nothing.
	ReadPlain(op Op, body []byte, p *Plain) bool
	// DecodeEmbed decodes OpEmbeddings.
	DecodeEmbed(body []byte) (*EmbedRequest, error)

	// AppendCompletion appends a whole answer to OpChat or OpCompletion.
	AppendCompletion(dst []byte, x *Exchange, c *Completion) ([]byte, error)
	// AppendEmbeddings appends the answer to OpEmbeddings.
	AppendEmbeddings(dst []byte, x *Exchange, e *Embeddings) ([]byte, error)
	// AppendTokenCount appends the answer to OpCountTokens.
	AppendTokenCount(dst []byte, n int) []byte
	// AppendModels appends the answer to OpListModels, AppendModel to OpGetModel.
	AppendModels(dst []byte, ms []ModelInfo) []byte
	AppendModel(dst []byte, m ModelInfo) []byte
	// AppendError appends an error body.
	AppendError(dst []byte, e *Error) []byte

	// NewEncoder starts a stream to the client.
	NewEncoder(x *Exchange) StreamEncoder
}

// StreamEncoder turns events into the frames of a client's stream. It has state: one per response, not concurrent.
type StreamEncoder interface {
	// AppendEvents appends whole frames. The end of the stream (OpenAI: usage if asked for and [DONE]; Anthropic:
	// message_delta and message_stop) is written by End alone.
	AppendEvents(dst []byte, evs []Event) ([]byte, error)
	// AppendEnd appends what ends a stream that ended well; usage is final in the exchange.
	AppendEnd(dst []byte) []byte
	// AppendError appends an error event. A client must not take the stream for complete after it.
	AppendError(dst []byte, e *Error) []byte
	// AppendKeepAlive appends what keeps the connection alive and means nothing (a comment; Anthropic: event: ping).
	AppendKeepAlive(dst []byte) []byte
}

// Provider is the upstream side of a schema. Implementations are stateless and safe for concurrent use.
type Provider interface {
	Schema() Schema
	Framing() Framing

	// EncodeRequest translates x.Request for x.Target. The client's parameters that cannot be honoured are an
	// *Unsupported, or listed in x.Dropped if x.Target.Drop. It may be called again for another attempt.
	EncodeRequest(x *Exchange, out *HTTPRequest) error
	// DecodeCompletion decodes a whole answer to OpChat or OpCompletion and sets x.Usage and x.Finish.
	DecodeCompletion(x *Exchange, body []byte) (*Completion, error)
	// DecodeEmbeddings decodes the answer to OpEmbeddings and sets x.Usage.
	DecodeEmbeddings(x *Exchange, body []byte) (*Embeddings, error)
	// DecodeTokenCount decodes the answer to OpCountTokens. A provider without such a call says so in EncodeRequest with an
	// *Unsupported of parameter "count_tokens"; the count is then made here.
	DecodeTokenCount(x *Exchange, body []byte) (int, error)
	// DecodeError makes an error of an answer that is not 2xx. It never fails: what cannot be read becomes a message of
	// its own. header looks up response headers (Retry-After and its relatives).
	DecodeError(status int, header func(name string) string, body []byte) *Error
	// NewStream starts to decode the stream of x.
	NewStream(x *Exchange) StreamDecoder
}

// StreamDecoder turns the frames of a provider's stream into events. It has state: one per response, not concurrent.
type StreamDecoder interface {
	// Decode appends the events that one frame holds. Events alias the frame: they are valid until the next call.
	// Usage goes to the exchange as it comes. An error event of the provider is an EventError, not an error; an error
	// means that the frame cannot be understood.
	Decode(f Frame, dst []Event) ([]Event, error)
	// Done says whether the stream has reached its proper end ([DONE], message_stop, done: true). A body that ends
	// before is an upstream that died.
	Done() bool
}

// Lenient is implemented by a StreamDecoder whose vendor has imitators that forget the end mark.
type Lenient interface {
	// CompleteAtEOF says whether the stream counts as complete if its body ends here, although Done is false: every choice
	// has its finish reason. While the body goes on, usage may still come.
	CompleteAtEOF() bool
}

// Bypass is implemented by a Provider for clients of its own schema: bodies are forwarded, not translated.
type Bypass interface {
	// Speaks says whether op of a client of schema s can be forwarded.
	Speaks(s Schema, op Op) bool
	// ForwardRequest is EncodeRequest without translation: Raw with nothing changed but the model, and that a stream
	// carries usage.
	ForwardRequest(x *Exchange, out *HTTPRequest) error
	// Scan sets x.Usage and x.Finish from a whole answer that is forwarded as it is.
	Scan(x *Exchange, body []byte) error
	// AppendFrame appends what of a frame the client gets to see: all of it but usage that it did not ask for.
	AppendFrame(dst []byte, x *Exchange, f Frame) []byte
}

// ModelInfo is one entry of a list of models.
type ModelInfo struct {
	ID      string
	OwnedBy string
	// Created is in seconds since 1970.
	Created       int64
	ContextWindow int
	MaxOutput     int
}
