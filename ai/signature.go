package ai

import "strings"

// Signatures of reasoning are an error at any vendor but the one that gave them. Gemini's carry a mark while they are
// with a client, so that a conversation that moves to another provider can be told apart; those of others are as they
// came, because their own SDKs expect them so.
const (
	// GeminiSignature marks the signature of a thought, or of a text that stands alone.
	GeminiSignature = "gemini:"
	// GeminiCallSignature marks the signature of the tool call that follows the reasoning which carries it: a call has no
	// place for one in the clients' schemas.
	GeminiCallSignature = "gemini-call:"
)

// IsGeminiSignature says whether a signature came from Gemini. Other providers leave out what it stands on, if that is
// reasoning.
func IsGeminiSignature(s string) bool {
	return strings.HasPrefix(s, GeminiSignature) || strings.HasPrefix(s, GeminiCallSignature)
}
