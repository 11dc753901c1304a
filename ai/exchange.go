package ai

import "github.com/nantian-gw/nantian/ai/jsonscan"

// Schema names a vendor's wire format, as AIProvider.spec.schema spells it.
type Schema string

// The schemas of clients and providers. AzureOpenAI differs from OpenAI in paths and credentials alone.
const (
	OpenAI      Schema = "OpenAI"
	AzureOpenAI Schema = "AzureOpenAI"
	Anthropic   Schema = "Anthropic"
	Gemini      Schema = "Gemini"
	Ollama      Schema = "Ollama"
)

// Op is what a client asks for.
type Op uint8

// The operations. Completion is OpenAI's legacy text completion; it is translated as a chat of one user message.
const (
	OpNone Op = iota
	OpChat
	OpCompletion
	OpEmbeddings
	OpCountTokens
	OpListModels
	OpGetModel
)

// String gives the operation's name as the OpenTelemetry GenAI conventions spell it (gen_ai.operation.name).
func (o Op) String() string {
	switch o {
	case OpChat:
		return "chat"
	case OpCompletion:
		return "text_completion"
	case OpEmbeddings:
		return "embeddings"
	case OpCountTokens:
		return "count_tokens"
	case OpListModels:
		return "list_models"
	case OpGetModel:
		return "get_model"
	}
	return "none"
}

// Exchange is one model call: what the client asked, where this attempt goes, and what it used. It belongs to one
// request and is not safe for concurrent use.
type Exchange struct {
	Op      Op
	Client  Dialect
	Request Request
	Target  Target
	Usage   Usage
	Finish  Finish
	// Dropped lists the parameters that the provider of this attempt cannot honour and that onUnsupported: Drop left out.
	Dropped []string
}

// Target is the provider and the model of one attempt.
type Target struct {
	Provider Provider
	// Model is the provider's name of the model.
	Model string
	// Drop leaves out what the provider cannot honour; otherwise EncodeRequest fails with an *Unsupported.
	Drop bool
	// APIVersion is Azure OpenAI's query parameter; empty for its v1 API.
	APIVersion string
	// MaxOutput is sent where the provider demands a limit and the client gave none (Anthropic); 0: the provider's default.
	MaxOutput int
}

// Request is what a client sent. Dialect.Peek fills it in one scan; the canonical form is decoded on first use.
type Request struct {
	// Raw is the body as it came. It is never modified and must outlive the exchange.
	Raw []byte
	// Model is the name that the client asked for.
	Model string
	// Stream asks for server-sent events.
	Stream bool
	// WantsUsage says whether the client's stream shows usage (OpenAI: stream_options.include_usage).
	WantsUsage bool
	// MaxOutput is the client's limit of output tokens; 0: none given.
	MaxOutput int
	// N is the number of choices asked for; 0 and 1 both mean one.
	N int
	// User is the end user that the client names (OpenAI: user, safety_identifier; Anthropic: metadata.user_id).
	User string
	// Beta lists the features that an Anthropic client switches on by its anthropic-beta header. The front end fills it
	// in, since Peek sees the body alone; it goes to providers of the same schema.
	Beta string

	chat  *Chat
	embed *EmbedRequest
}

// Chat decodes the body on first use and keeps the result for further attempts. Callers must not modify it.
func (x *Exchange) Chat() (*Chat, error) {
	if x.Request.chat != nil {
		return x.Request.chat, nil
	}
	c, err := x.Client.DecodeChat(x.Op, x.Request.Raw)
	if err != nil {
		return nil, err
	}
	x.Request.chat = c
	return c, nil
}

// Embed is Chat for embeddings.
func (x *Exchange) Embed() (*EmbedRequest, error) {
	if x.Request.embed != nil {
		return x.Request.embed, nil
	}
	e, err := x.Client.DecodeEmbed(x.Request.Raw)
	if err != nil {
		return nil, err
	}
	x.Request.embed = e
	return e, nil
}

// Usage counts tokens with one meaning for all providers. Input includes CachedInput and CacheWrite; Output includes
// Reasoning. So Input+Output is what the call used, and nothing is counted twice.
type Usage struct {
	Input       int
	CachedInput int // read from the provider's prompt cache
	CacheWrite  int // written to the provider's prompt cache
	Output      int
	Reasoning   int
	// AudioInput and AudioOutput are parts of Input and Output.
	AudioInput, AudioOutput int
	// Known says that the provider reported it.
	Known bool
	// Estimated says that it was counted here, because the provider reported nothing.
	Estimated bool
}

// Finish is why a choice ended, in canonical form.
type Finish string

// The finish reasons. FinishRefusal is a model that declined; FinishFilter is a provider's content filter.
const (
	FinishStop    Finish = "stop"
	FinishStopSeq Finish = "stop_sequence"
	FinishLength  Finish = "length"
	FinishTools   Finish = "tool_calls"
	FinishFilter  Finish = "content_filter"
	FinishRefusal Finish = "refusal"
	FinishPause   Finish = "pause_turn"
	FinishError   Finish = "error"
)

// HTTPRequest is an encoded call, before authentication. Path is relative to the provider's base URL.
type HTTPRequest struct {
	Method string
	Path   string // begins with "/"
	Query  string // without "?"
	// Headers are beyond Content-Type: application/json, which every body has.
	Headers []Header
	// Body is memory of r. Whoever sends it asks for Content.
	Body []byte
	// Whole says that the body is Exchange.Request.Raw, byte for byte, and that nothing is in Body.
	Whole bool
}

// Forward makes the body that of the client but for edits: a copy, unless they change nothing.
func (r *HTTPRequest) Forward(x *Exchange, edits []jsonscan.Edit) {
	if r.Whole = jsonscan.Holds(x.Request.Raw, edits); !r.Whole {
		r.Body = jsonscan.AppendEdited(r.Body, x.Request.Raw, edits)
	}
}

// Content is the body as it is sent.
func (r *HTTPRequest) Content(x *Exchange) []byte {
	if r.Whole {
		return x.Request.Raw
	}
	return r.Body
}

// Header is one HTTP header field.
type Header struct{ Name, Value string }

// Reset empties r and keeps its memory.
func (r *HTTPRequest) Reset() {
	*r = HTTPRequest{Headers: r.Headers[:0], Body: r.Body[:0]}
}

// Framing is how a provider's stream is cut into frames.
type Framing uint8

// The framings: server-sent events, and one JSON object a line.
const (
	SSE Framing = iota
	NDJSON
)

// Frame is one frame of a provider's stream.
type Frame struct {
	// Event is the SSE event name; empty where there is none.
	Event []byte
	// Data is the SSE data (its lines joined by \n), or the line.
	Data []byte
	// Raw is the frame as it came, with the blank line that ends it.
	Raw []byte
}
