package openai

import (
	"net/url"

	"github.com/nantian-gw/nantian/ai"
)

// route sets method, path and query.
//
// Azure has two addresses: deployments with a dated api-version
// (https://learn.microsoft.com/azure/ai-foundry/openai/reference), and the v1 API, which is OpenAI's own under /openai/v1 and takes
// no version, or "preview" (https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle).
func (p Provider) route(x *ai.Exchange, out *ai.HTTPRequest) {
	out.Method, out.Path = "POST", "/chat/completions"
	switch x.Op {
	case ai.OpCompletion:
		out.Path = "/completions"
	case ai.OpEmbeddings:
		out.Path = "/embeddings"
	case ai.OpListModels:
		out.Method, out.Path = "GET", "/models"
	case ai.OpGetModel:
		out.Method, out.Path = "GET", "/models/"+url.PathEscape(x.Target.Model)
	}
	if !p.Azure {
		return
	}
	version := x.Target.APIVersion
	if version != "" {
		out.Query = "api-version=" + url.QueryEscape(version)
	}
	switch {
	case version == "", version == "v1", version == "preview", version == "latest":
		out.Path = "/openai/v1" + out.Path
	case out.Method == "GET":
		out.Path = "/openai" + out.Path
	default:
		out.Path = "/openai/deployments/" + url.PathEscape(x.Target.Model) + out.Path
	}
}
