package ai

// Budget is how many tokens of thinking an effort stands for, where a provider takes tokens and the client named an
// effort. Low, medium and high are Google's own table for its OpenAI-compatible endpoint
// (https://ai.google.dev/gemini-api/docs/openai#thinking); the others continue it. 0: none, or not an effort.
func Budget(effort string) int {
	switch effort {
	case "minimal", "low":
		return 1024
	case "medium":
		return 8192
	case "high":
		return 24576
	case "xhigh":
		return 32768
	case "max":
		return 65536
	}
	return 0
}

// Effort is the lowest effort whose Budget holds budget; "max" above all of them, "none" for 0 and less.
func Effort(budget int) string {
	if budget <= 0 {
		return "none"
	}
	for _, e := range [...]string{"low", "medium", "high", "xhigh"} {
		if budget <= Budget(e) {
			return e
		}
	}
	return "max"
}
