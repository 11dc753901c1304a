package anthropic

import (
	"strings"
	"unicode"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// thinking reads the thinking parameter of a client. A type that is not known here stays as it is.
func (d *chatDecoder) thinking(v []byte) (err error) {
	if err = object(v); err != nil {
		return err
	}
	r := d.reasoning()
	switch jsonscan.Text(jsonscan.Get(v, "type")) {
	case "disabled":
		r.Off = true
	case "adaptive":
		r.Adaptive = true
	case "enabled":
		if r.Budget, err = count(jsonscan.Get(v, "budget_tokens")); err != nil {
			return ai.Under(err, "budget_tokens")
		}
	case "":
		return bad("type", "this field is required")
	default:
		d.extra("thinking", v)
	}
	r.Hide = jsonscan.Equal(jsonscan.Get(v, "display"), "omitted")
	return nil
}

func (d *chatDecoder) reasoning() *ai.Reasoning {
	if d.c.Reasoning == nil {
		d.c.Reasoning = &ai.Reasoning{}
	}
	return d.c.Reasoning
}

// How a model thinks, by generation. Models up to 4.5 take a budget of tokens alone, 4.6 takes both, later ones think
// adaptively and are steered by an effort; see https://platform.claude.com/docs/en/build-with-claude/thinking.
const (
	firstThinking = 3_007
	firstAdaptive = 4_006
	// firstUnsampled is the first generation that refuses temperature, top_p and top_k, see
	// https://platform.claude.com/docs/en/about-claude/models/whats-new-claude-4-7.
	firstUnsampled = 4_007
	newest         = 1 << 30
)

// generation reads the version out of a model's name as major*1000+minor: 4_005 for claude-sonnet-4-5-20250929, 3_007 for
// anthropic.claude-3-7-sonnet-20250219-v1:0. A name without one is taken for the newest model.
func generation(model string) int {
	_, name, ok := strings.Cut(model, "claude-")
	if !ok {
		return newest
	}
	gen, found := 0, 0
	for part := range strings.FieldsFuncSeq(name, isSeparator) {
		n := version(part)
		if n < 0 {
			if found > 0 {
				break
			}
			continue
		}
		gen = gen*1000 + n
		if found++; found == 2 {
			return gen
		}
	}
	switch found {
	case 0:
		return newest
	case 1:
		return gen * 1000
	}
	return gen
}

// unsampled says that a model refuses temperature, top_p and top_k. Of a name without a version that is not known: what the
// client asked for is sent, and the provider has the last word.
func unsampled(model string) bool {
	g := generation(model)
	return g >= firstUnsampled && g < newest
}

func isSeparator(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// version reads a number of one or two digits; dates and words are -1.
func version(s string) int {
	if len(s) > 2 {
		return -1
	}
	n := 0
	for _, r := range s {
		if r < '0' || r > '9' {
			return -1
		}
		n = n*10 + int(r-'0')
	}
	return n
}

const (
	// minBudget is the least that Anthropic takes.
	minBudget = 1024
	// defaultMaxOutput is the limit where neither the client nor the target gives one.
	defaultMaxOutput = 4096
	// maxOutput is the least limit of the models that take budgets (Opus 4 and 4.1).
	maxOutput = 32000
)

// plan is what a request says about thinking, and the limit of output tokens that goes with it.
type plan struct {
	mode      string // "", enabled, adaptive, disabled
	budget    int
	effort    string
	display   string
	maxOutput int
}

// plan settles thinking for the target's model. A client of Anthropic gets what it asked for, others what suits the model.
func (e *encoder) plan() plan {
	p := plan{maxOutput: e.c.MaxOutput}
	free := p.maxOutput == 0 && e.x.Target.MaxOutput == 0
	if p.maxOutput == 0 {
		p.maxOutput = e.x.Target.MaxOutput
	}
	if free {
		p.maxOutput = defaultMaxOutput
	}
	r := e.c.Reasoning
	switch {
	case r == nil || e.has("thinking"):
	case e.own():
		p.asGiven(r)
	case r.Off || r.Effort == "none":
		p.mode = "disabled"
	case generation(e.x.Target.Model) >= firstAdaptive:
		p.adaptive(r)
	case r.Effort != "" || r.Budget > 0 || r.Adaptive:
		e.budget(&p, r, free)
	}
	return p
}

func (p *plan) asGiven(r *ai.Reasoning) {
	p.effort, p.budget = r.Effort, r.Budget
	switch {
	case r.Off:
		p.mode = "disabled"
	case r.Adaptive:
		p.mode = "adaptive"
	case r.Budget > 0:
		p.mode = "enabled"
	}
	if r.Hide {
		p.display = "omitted"
	}
}

// adaptive asks for thinking as deep as the effort. Newer models leave their thoughts out unless asked for a summary.
func (p *plan) adaptive(r *ai.Reasoning) {
	switch {
	case r.Effort == "minimal":
		p.effort = "low"
	case r.Effort != "":
		p.effort = r.Effort
	case r.Budget > 0:
		p.effort = ai.Effort(r.Budget)
	case !r.Adaptive:
		return
	}
	p.mode, p.display = "adaptive", "summarized"
	if r.Hide {
		p.display = "omitted"
	}
}

// budget asks for thinking within a number of tokens, which must stay below the limit of output: where the client gave
// none the limit is raised, otherwise a fifth of it stays for the answer.
func (e *encoder) budget(p *plan, r *ai.Reasoning, free bool) {
	want := r.Budget
	if want == 0 {
		want = max(ai.Budget(r.Effort), minBudget)
	}
	switch {
	case free:
		if r.Budget == 0 {
			want = min(want, maxOutput-defaultMaxOutput)
		}
		p.maxOutput += want
	case r.Budget == 0:
		want = min(want, p.maxOutput-p.maxOutput/5)
	}
	if want < minBudget || want >= p.maxOutput || generation(e.x.Target.Model) < firstThinking || e.cannotThink() {
		e.g.Refuse("reasoning_effort")
		return
	}
	p.mode, p.budget = "enabled", want
	if r.Hide {
		p.display = "omitted"
	}
}

// cannotThink says whether Anthropic would refuse thinking with a budget for this conversation: a tool may not be forced,
// and in the midst of tool calls the assistant's turn must begin with the thoughts that led to them, which a client that
// does not send reasoning back has lost.
func (e *encoder) cannotThink() bool {
	if m := e.c.ToolChoice.Mode; m == ai.ToolsRequired || m == ai.ToolsNamed {
		return true
	}
	last := len(e.c.Messages) - 1
	if last < 0 || e.c.Messages[last].Role != ai.RoleTool {
		return false
	}
	for i := last; i >= 0; i-- {
		switch m := &e.c.Messages[i]; m.Role {
		case ai.RoleUser:
			return true
		case ai.RoleAssistant:
			if hasThoughts(m) {
				return false
			}
		}
	}
	return true
}

func hasThoughts(m *ai.Message) bool {
	for i := range m.Parts {
		if replayable(&m.Parts[i]) {
			return true
		}
	}
	return false
}

// replayable says whether reasoning can go back to Anthropic: it must carry a signature of Anthropic's.
func replayable(p *ai.Part) bool {
	return p.Kind == ai.PartReasoning && p.Signature != "" && !ai.IsGeminiSignature(p.Signature)
}

func (e *encoder) appendThinking(p *plan) {
	if p.mode == "" {
		return
	}
	e.key("thinking")
	e.raw(`{"type":"`, p.mode, `"`)
	if p.mode == "enabled" {
		e.b = jsonscan.AppendInt(jsonscan.AppendKey(e.b, "budget_tokens"), p.budget)
	}
	if p.display != "" {
		e.raw(`,"display":"`, p.display, `"`)
	}
	e.raw("}")
}
