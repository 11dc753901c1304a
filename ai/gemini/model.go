package gemini

import (
	"strings"

	"github.com/nantian-gw/nantian/ai"
)

// model is what a model's name says about the parameters that it takes.
type model struct {
	// major and minor are of gemini-<major>.<minor>; 0 for other names.
	major, minor int
	pro, lite    bool
}

// parseModel reads a name such as gemini-2.5-flash-lite. The aliases gemini-flash-latest and gemini-pro-latest are
// newer than 2.5 (https://ai.google.dev/gemini-api/docs/models#latest).
func parseModel(name string) model {
	name = name[strings.LastIndexByte(name, '/')+1:]
	m := model{pro: strings.Contains(name, "pro"), lite: strings.Contains(name, "lite")}
	rest, ok := strings.CutPrefix(name, "gemini-")
	switch {
	case !ok:
	case strings.HasSuffix(name, "-latest") && !isDigit(rest[0]):
		m.major = 3
	case isDigit(rest[0]):
		m.major = int(rest[0] - '0')
		if len(rest) > 2 && rest[1] == '.' && isDigit(rest[2]) {
			m.minor = int(rest[2] - '0')
		}
	}
	return m
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

func (m model) is2() bool { return m.major == 2 }

// thinks says whether the model knows thinkingConfig: 2.5 and later, and names that nothing is known of.
func (m model) thinks() bool { return m.major == 0 || m.major >= 3 || m.major == 2 && m.minor >= 5 }

// budget fits a budget to the model (https://ai.google.dev/gemini-api/docs/thinking#set-budget). ok is false where it
// must be 0 and the model cannot do without thinking.
func (m model) budget(n int) (int, bool) {
	low, high := 0, 24576
	switch {
	case m.pro:
		low, high = 128, 32768
	case m.lite:
		low = 512
	}
	if n == 0 {
		return 0, !m.pro
	}
	return min(max(n, low), high), true
}

// level is the thinkingLevel of Gemini 3 for an effort (https://ai.google.dev/gemini-api/docs/openai#thinking). ok is
// false for none where the model cannot do without thinking; Flash comes close to it with minimal.
func (m model) level(effort string) (level string, ok bool) {
	switch effort {
	case "none":
		return "minimal", !m.pro
	case "minimal":
		if m.pro {
			return "low", true
		}
		return "minimal", true
	case "low":
		return "low", true
	case "medium":
		// 3.0 Pro knows low and high alone.
		if m.pro && m.minor == 0 {
			return "high", true
		}
		return "medium", true
	}
	return "high", true
}

// reasoning writes thinkingConfig.
func (e *encoder) reasoning(r *ai.Reasoning) {
	if r == nil {
		return
	}
	off := r.Off || r.Effort == "none"
	if !e.model.thinks() {
		if !off {
			e.gaps.Refuse("reasoning_effort")
		}
		return
	}
	e.Object("thinkingConfig")
	if e.model.major >= 3 {
		e.level(r, off)
	} else {
		e.budget(r, off)
	}
	if !off && !r.Hide {
		e.Bool("includeThoughts", true)
	}
	e.Shut()
}

func (e *encoder) level(r *ai.Reasoning, off bool) {
	effort := r.Effort
	switch {
	case off:
		effort = "none"
	case effort == "" && r.Budget > 0:
		effort = ai.Effort(r.Budget)
	case effort == "":
		return
	}
	level, ok := e.model.level(effort)
	if !ok {
		e.gaps.Refuse("reasoning_effort")
		return
	}
	e.Text("thinkingLevel", level)
}

// budget writes the tokens of an effort; -1 lets the model decide.
func (e *encoder) budget(r *ai.Reasoning, off bool) {
	n := r.Budget
	if n == 0 {
		n = ai.Budget(r.Effort)
	}
	switch {
	case off:
		n = 0
	case n == 0:
		e.Int("thinkingBudget", -1)
		return
	}
	n, ok := e.model.budget(n)
	if !ok {
		e.gaps.Refuse("reasoning_effort")
		return
	}
	e.Int("thinkingBudget", n)
}
