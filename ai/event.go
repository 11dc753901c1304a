package ai

// EventKind is what an event of a stream says.
type EventKind uint8

// The events. Choice, Part and the call's fields say where a delta belongs.
const (
	// EventStart opens the answer: ID and Model.
	EventStart EventKind = iota + 1
	EventText
	EventRefusal
	EventReasoning
	// EventSignature carries the signature of the reasoning part that it follows; Redacted: its data.
	EventSignature
	// EventToolStart opens a call: Call, ID, Name. EventToolDelta appends to its arguments.
	EventToolStart
	EventToolDelta
	// EventLogprobs carries Raw in OpenAI's form.
	EventLogprobs
	// EventFinish ends a choice.
	EventFinish
	// EventError is an error that the provider sent inside the stream.
	EventError
	// EventPing means nothing but that the provider lives.
	EventPing
	// EventImage is a whole image that the model made: Text is its data in base64, Name its media type.
	EventImage
)

// Event is one step of a streamed answer. Its byte slices alias the frame that it was decoded from, or the decoder's own
// buffer, and are valid until the next call of Decode.
type Event struct {
	Kind EventKind
	// Choice is the index of the answer.
	Choice int
	// Part numbers the content blocks of a choice in the order of their start. A decoder whose vendor has no blocks
	// starts a new part whenever the kind of the content changes.
	Part int
	// Call numbers the tool calls of a choice.
	Call int
	// Text is the delta, unescaped.
	Text []byte
	// ID and Name belong to EventStart (ID and model) EventToolStart (call id and tool) and EventImage.
	ID, Name []byte
	Redacted bool
	// Custom belongs to EventToolStart, as in ToolCall.
	Custom bool
	Finish Finish
	// StopSequence belongs to EventFinish.
	StopSequence string
	Raw          []byte
	Err          *Error
}

// Content says whether the event is something that the model generated: after the first such event a stream is committed
// to its attempt.
func (e *Event) Content() bool {
	switch e.Kind {
	case EventText, EventRefusal, EventReasoning, EventSignature, EventToolStart, EventToolDelta, EventImage:
		return true
	}
	return e.Kind == EventFinish
}
