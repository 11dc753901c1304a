package vendors

import (
	"net/url"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/anthropic"
	"github.com/nantian-gw/nantian/ai/openai"
)

// versionHeader is in every request of an Anthropic client.
const versionHeader = "anthropic-version"

// Detect says what a client asks for by the end of its path, so that a route may put any prefix before it, and in which
// schema it wants the answer:
//
//	POST …/chat/completions      OpenAI
//	POST …/completions           OpenAI, legacy
//	POST …/embeddings            OpenAI
//	POST …/messages              Anthropic
//	POST …/messages/count_tokens Anthropic
//	GET  …/models, …/models/{id} Anthropic with an anthropic-version header, else OpenAI
//
// Azure's clients say the model in the path: …/openai/deployments/{model}/chat/completions. model is the one in the
// path, unescaped, or empty. Where ok is false d still is the schema that an error is best written in. header looks up
// a request header. Paths of known calls cost no allocation but for a model that has to be copied out of them.
func Detect[S ~string | ~[]byte](method, path S, header func(name string) string) (d ai.Dialect, op ai.Op, model string, ok bool) {
	n := len(path)
	if n > 1 && path[n-1] == '/' {
		path = path[:n-1]
	}
	switch string(method) {
	case "POST":
		return detectCall(path, header)
	case "GET", "HEAD":
		d = byVersion(header)
		if hasSuffix(path, "/models") {
			return d, ai.OpListModels, "", true
		}
		if id := after(path, "/models/"); len(id) > 0 {
			return d, ai.OpGetModel, unescape(string(id)), true
		}
		return d, ai.OpNone, "", false
	}
	return byVersion(header), ai.OpNone, "", false
}

func detectCall[S ~string | ~[]byte](path S, header func(string) string) (ai.Dialect, ai.Op, string, bool) {
	rest := path
	op := ai.OpNone
	switch {
	case hasSuffix(path, "/messages"):
		// OpenAI's assistants have messages of threads.
		if len(after(path, "/threads/")) == 0 {
			return anthropic.Dialect{}, ai.OpChat, "", true
		}
	case hasSuffix(path, "/messages/count_tokens"):
		return anthropic.Dialect{}, ai.OpCountTokens, "", true
	case hasSuffix(path, "/chat/completions"):
		op, rest = ai.OpChat, path[:len(path)-len("/chat/completions")]
	case hasSuffix(path, "/completions"):
		op, rest = ai.OpCompletion, path[:len(path)-len("/completions")]
	case hasSuffix(path, "/embeddings"):
		op, rest = ai.OpEmbeddings, path[:len(path)-len("/embeddings")]
	}
	if op == ai.OpNone {
		return byVersion(header), ai.OpNone, "", false
	}
	return openai.Dialect{}, op, deployment(rest), true
}

func byVersion(header func(string) string) ai.Dialect {
	if header(versionHeader) != "" {
		return anthropic.Dialect{}
	}
	return openai.Dialect{}
}

// deployment is the last element of …/openai/deployments/{model}.
func deployment[S ~string | ~[]byte](path S) string {
	name := after(path, "/openai/deployments/")
	for i := range len(name) {
		if name[i] == '/' {
			return ""
		}
	}
	return unescape(string(name))
}

// unescape leaves what is no valid escape as it is.
func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

func hasSuffix[S ~string | ~[]byte](s S, suffix string) bool {
	return len(s) >= len(suffix) && string(s[len(s)-len(suffix):]) == suffix
}

// after is what follows the first mark in s.
func after[S ~string | ~[]byte](s S, mark string) S {
	for i := 0; i+len(mark) <= len(s); i++ {
		if string(s[i:i+len(mark)]) == mark {
			return s[i+len(mark):]
		}
	}
	return s[len(s):]
}
