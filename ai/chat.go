package ai

import "encoding/json"

// Chat is a request for a chat in canonical form: what all vendors can say, once. Zero values mean "not given".
type Chat struct {
	// Messages are in order; system and developer messages stand where the client put them.
	Messages []Message
	Tools    []Tool
	// ToolChoice is zero when not given.
	ToolChoice ToolChoice
	// Functions says that the client speaks of tools in the deprecated words of OpenAI, and expects function_call in answers.
	Functions bool
	// ParallelTools allows several tool calls in one turn.
	ParallelTools *bool

	MaxOutput        int
	Temperature      *float64
	TopP             *float64
	TopK             *int
	FrequencyPenalty *float64
	PresencePenalty  *float64
	Seed             *int64
	Stop             []string
	N                int
	Logprobs         *bool
	TopLogprobs      *int
	LogitBias        json.RawMessage

	Format    *Format
	Reasoning *Reasoning

	User        string
	Metadata    json.RawMessage
	ServiceTier string
	Store       *bool
	Stream      bool

	// Extra are top-level fields that nobody here knows, in order. They are forwarded only between schemas of one family;
	// to another they are unsupported parameters.
	Extra []Field
	// Family is the schema that Extra and all Extra below come from.
	Family Schema
}

// Field is one member of a JSON object.
type Field struct {
	Name  string
	Value json.RawMessage
}

// Role is who speaks.
type Role uint8

// The roles. A tool's result is a message of RoleTool with parts of kind PartToolResult.
const (
	RoleSystem Role = iota + 1
	RoleDeveloper
	RoleUser
	RoleAssistant
	RoleTool
)

// Message is one turn.
type Message struct {
	Role  Role
	Name  string
	Parts []Part
}

// PartKind is what a part holds.
type PartKind uint8

// The kinds of parts.
const (
	PartText PartKind = iota + 1
	PartImage
	PartAudio
	PartFile
	PartToolCall
	PartToolResult
	PartReasoning
	PartRefusal
	// PartOpaque is a part of the client's schema that has no canonical form; Raw holds it. It passes only within a family.
	PartOpaque
)

// Part is a piece of a message. Which fields count depends on Kind.
type Part struct {
	Kind PartKind
	// Text is the text, the reasoning or the refusal.
	Text string
	// Media is set for images, audio and files.
	Media *Media
	// Call is set for PartToolCall, Result for PartToolResult.
	Call   *ToolCall
	Result *ToolResult
	// Signature belongs to PartReasoning (Anthropic: signature; Gemini: thoughtSignature) and must come back unchanged in
	// the next turn. Redacted reasoning has no text and its data here. Gemini's are marked, and those
	// of its tool calls stand on reasoning of their own (see GeminiSignature).
	Signature string
	Redacted  bool
	// CacheControl is Anthropic's cache_control, as it came.
	CacheControl json.RawMessage
	// Citations and other annotations of a text, as they came; they pass only within a family.
	Annotations json.RawMessage
	Raw         json.RawMessage
}

// Media is an image, a sound or a file: inline (Data), by URL, or by the provider's file id.
type Media struct {
	// MIME is the media type, "image/png"; for audio of OpenAI made from its format.
	MIME string
	// Data is base64, as it came.
	Data string
	URL  string
	// FileID is a name that only the provider knows.
	FileID string
	// Detail is OpenAI's image detail: low, high, auto.
	Detail string
	// Name is the file's name.
	Name string
}

// ToolCall is a call that the model asks for. Arguments are JSON text as the model wrote it.
type ToolCall struct {
	ID        string
	Name      string
	Arguments string
	// Custom marks OpenAI's custom tools, whose input is free text.
	Custom bool
}

// ToolResult answers a call.
type ToolResult struct {
	CallID string
	// Name of the tool, where the provider wants it (Gemini); filled from the call with that id.
	Name string
	// Parts are texts, images and files.
	Parts   []Part
	IsError bool
}

// Tool is a function that the model may call.
type Tool struct {
	Name        string
	Description string
	// Schema is the JSON schema of the arguments; empty: none.
	Schema       json.RawMessage
	Strict       *bool
	CacheControl json.RawMessage
	// Raw is a tool of the vendor's own (web search, computer use ...), which has no canonical form.
	Raw json.RawMessage
}

// ToolMode is how freely the model may choose tools.
type ToolMode uint8

// The tool modes; zero is "not given".
const (
	ToolsAuto ToolMode = iota + 1
	ToolsNone
	ToolsRequired
	ToolsNamed
)

// ToolChoice restricts which tools may be called.
type ToolChoice struct {
	Mode ToolMode
	// Name is the tool of ToolsNamed.
	Name string
}

// FormatKind is the form that an answer must have.
type FormatKind uint8

// The formats.
const (
	FormatText FormatKind = iota + 1
	FormatJSON
	FormatSchema
)

// Format is structured output.
type Format struct {
	Kind        FormatKind
	Name        string
	Description string
	Schema      json.RawMessage
	Strict      *bool
}

// Reasoning asks for thinking. A provider that wants the other of Effort and Budget derives it (see Budget and Effort).
type Reasoning struct {
	// Effort is none, minimal, low, medium, high, xhigh or max; empty when only a budget is given.
	Effort string
	// Budget is in tokens; 0 when only an effort is given.
	Budget int
	// Adaptive lets the model decide how long to think (Anthropic: adaptive).
	Adaptive bool
	// Off switches thinking off.
	Off bool
	// Hide leaves the thoughts out of the answer.
	Hide bool
}

// Completion is a whole answer.
type Completion struct {
	ID    string
	Model string
	// Created is in seconds since 1970; 0: unknown.
	Created           int64
	Choices           []Choice
	ServiceTier       string
	SystemFingerprint string
}

// Choice is one of the answers.
type Choice struct {
	Index  int
	Parts  []Part
	Finish Finish
	// StopSequence is the one that ended the text, where the provider says.
	StopSequence string
	// Logprobs in OpenAI's form.
	Logprobs json.RawMessage
}

// EmbedRequest is a request for embeddings in canonical form.
type EmbedRequest struct {
	Inputs     []EmbedInput
	Dimensions int
	// Base64 asks for little-endian float32 in base64 in place of numbers.
	Base64 bool
	User   string
	Extra  []Field
	Family Schema
}

// EmbedInput is a text, or tokens of the model's own vocabulary.
type EmbedInput struct {
	Text   string
	Tokens []int
}

// Embeddings is the answer to an EmbedRequest, in its order.
type Embeddings struct {
	Model   string
	Vectors [][]float32
}
