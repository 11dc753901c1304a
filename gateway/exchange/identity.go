package exchange

import "strings"

// Identity is a caller that has proved who it is. It is immutable and shared by all of the caller's requests.
type Identity struct {
	// APIKey is "<ns>/<name>" of the Secret whose key the caller showed; empty: it showed a token.
	APIKey string
	// Issuer and Subject are those of the caller's JWT.
	Issuer, Subject string
	// Claims are all claims of the JWT, as encoding/json reads an object with numbers as json.Number.
	Claims map[string]any
	// Models are those that the caller may use, exact or with one "*"; empty: all.
	Models []string
	// Metadata is what the API key's Secret says of its holder.
	Metadata map[string]string
	// Also is who the caller is to a wider policy, where several ask: what it may use is restricted by both. Usually nil.
	Also *Identity
}

// MayUse says whether the caller may use a model, by the name that clients ask for. Without an identity there is nothing to
// restrict.
func (i *Identity) MayUse(model string) bool {
	return i == nil || i.mayUse(model) && i.Also.MayUse(model)
}

// Restricted says whether there are models that the caller may not use.
func (i *Identity) Restricted() bool { return i != nil && (len(i.Models) > 0 || i.Also.Restricted()) }

func (i *Identity) mayUse(model string) bool {
	if len(i.Models) == 0 {
		return true
	}
	for _, m := range i.Models {
		before, after, star := strings.Cut(m, "*")
		if m == model || star && len(model) >= len(before)+len(after) && strings.HasPrefix(model, before) && strings.HasSuffix(model, after) {
			return true
		}
	}
	return false
}
