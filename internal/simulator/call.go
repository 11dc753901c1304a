package simulator

import (
	"github.com/valyala/fasthttp"
)

const (
	maxChoices = 128 // OpenAI's limit of n
	maxCalls   = 64
	// attachmentTokens is what an image, a file or a sound counts as: OpenAI's figure for an image at low detail.
	attachmentTokens = 85
	// keptBuffer is the largest buffer that goes back to the pool, in bytes.
	keptBuffer = 64 << 10
)

// protocol is one operation of a vendor. Its values have no state; a call is given to each method.
type protocol interface {
	// read takes from the body what the answer depends on.
	read(c *call, body value) *apiError
	appendAnswer(dst []byte, c *call) []byte
	appendError(dst []byte, c *call, e *apiError) []byte
	mime() string
	// keyHeader is the header that may hold the API key, besides Authorization.
	keyHeader(c *call) string
	// writeHead sets the vendor's headers.
	writeHead(c *call)
}

// streamer is an operation whose answer can be streamed.
type streamer interface {
	protocol
	// appendEvent appends what the wire shows of e, which may be nothing.
	appendEvent(dst []byte, c *call, e *event) []byte
	appendStreamError(dst []byte, c *call, e *apiError) []byte
	streamMime(c *call) string
}

// apiError is an error that a vendor answers. Empty kind and code take the vendor's value for the status.
type apiError struct {
	status                     int
	kind, code, param, message string
}

func invalid(param, message string) *apiError {
	return &apiError{status: fasthttp.StatusBadRequest, param: param, message: message}
}

// choiceMode is what tool_choice asks for.
type choiceMode uint8

const (
	choiceAuto choiceMode = iota
	choiceNone
	choiceRequired
	choiceNamed
)

// format is what the text of the answer has to be.
type format uint8

const (
	formatText format = iota
	formatJSON
	formatSchema
)

type tool struct {
	name   []byte
	schema value
}

// call is one request and its answer. Its slices point into the request's body or into arena.
type call struct {
	s     *Server
	ctx   *fasthttp.RequestCtx
	proto protocol
	d     Directives

	// From the path.
	azure     bool
	sse       bool // Gemini: the stream is asked for as server-sent events
	pathModel []byte

	// From the body.
	model        []byte // without directives
	stream       bool
	includeUsage bool
	maxTokens    int // 0: no limit
	n            int
	user         []byte // text of the last user message
	userLast     bool   // the conversation ends with it
	toolResult   []byte // text of a tool's result, if the conversation ends with it
	attachments  int
	tools        []tool
	choice       choiceMode
	choiceName   []byte
	serial       bool // one tool call at most
	format       format
	schema       value
	stops        [][]byte
	reasoning    int // tokens; 0: none
	showThoughts bool
	logprobs     bool
	topLogprobs  int
	echo         bool // completions: the prompt is part of the answer
	inputs       [][]byte
	dimensions   int
	base64       bool

	usage   usage
	seed    uint64
	id      random // identifiers are drawn from copies of it
	dice    random // of the choice that is being generated
	created int64

	blocks  []block
	choices []choice
	arena   []byte
	out     []byte
	pull    puller
}

// usage is the tokens of a call. Input includes cached tokens.
type usage struct {
	input, cached, written5m, written1h, output, reasoning int
}

func (s *Server) acquire(ctx *fasthttp.RequestCtx) *call {
	c := s.calls.Get().(*call)
	c.s, c.ctx, c.n, c.d = s, ctx, 1, s.opts.Directives
	c.created = s.opts.Now().Unix()
	return c
}

// release gives c back to the pool, without what it points to.
func (c *call) release() {
	s := c.s
	clear(c.tools)
	clear(c.stops)
	clear(c.inputs)
	clear(c.blocks)
	clear(c.choices)
	kept := call{
		tools: c.tools[:0], stops: c.stops[:0], inputs: c.inputs[:0],
		blocks: c.blocks[:0], choices: c.choices[:0],
	}
	if cap(c.arena) <= keptBuffer {
		kept.arena = c.arena[:0]
	}
	if cap(c.out) <= keptBuffer {
		kept.out = c.out[:0]
	}
	*c = kept
	s.calls.Put(c)
}

// str returns the unescaped text of a JSON string.
func (c *call) str(v value) []byte { return v.text(&c.arena) }

// countText adds a text of the prompt to the usage.
func (c *call) countText(text []byte) {
	c.usage.input += c.s.opts.Count(text)
}

// attach counts an image, a file or a sound of the prompt.
func (c *call) attach() {
	c.attachments++
	c.usage.input += attachmentTokens
}

// userMessage begins a message of the user.
func (c *call) userMessage() {
	c.user, c.userLast, c.toolResult, c.attachments = nil, true, nil, 0
}

// userText adds a part of the user's message.
func (c *call) userText(text []byte) {
	c.countText(text)
	c.user = c.join(c.user, text)
}

// otherMessage begins a message of another role than the user's.
func (c *call) otherMessage() { c.userLast, c.toolResult = false, nil }

// resultText adds a tool's result, which ends the user's turn.
func (c *call) resultText(text []byte) {
	c.countText(text)
	c.userLast = false
	c.toolResult = c.join(c.toolResult, text)
}

// join returns a and b on two lines.
func (c *call) join(a, b []byte) []byte {
	if len(a) == 0 {
		return b
	}
	start := len(c.arena)
	c.arena = append(append(append(c.arena, a...), '\n'), b...)
	return c.arena[start:len(c.arena):len(c.arena)]
}

// setModel takes the directives off the model's name.
func (c *call) setModel(name []byte) *apiError {
	model, err := c.d.fromModel(name)
	if err != nil {
		return invalid("model", err.Error())
	}
	c.model = model
	return nil
}

// finishReading reads the remaining directives and what follows from them.
func (c *call) finishReading(body []byte) *apiError {
	if c.userLast && len(c.user) > 0 {
		text, err := c.d.fromText(c.user)
		if err != nil {
			return invalid("messages", err.Error())
		}
		c.user = text
	}
	if err := c.d.fromHeader(&c.ctx.Request.Header); err != nil {
		return invalid("", err.Error())
	}
	if n, ok := given(c.d.reasoning); ok {
		c.reasoning = n
	}
	if n, ok := given(c.d.cached); ok {
		c.usage.cached = min(n, c.usage.input)
	}
	c.seed = hash(hash(1, c.model), c.user)
	c.id = random(hash(c.seed, body))
	return nil
}
