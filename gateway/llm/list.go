package llm

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// listModels answers with the models that the handler serves, as far as the caller may use them.
func (c *call) listModels() *ai.Error {
	c.reply(http.StatusOK, jsonType, c.ax.Client.AppendModels(nil, c.h.models.listFor(c.x.Identity)))
	return nil
}

func (m *models) listFor(who *exchange.Identity) []ai.ModelInfo {
	if !who.Restricted() {
		return m.list
	}
	return slices.DeleteFunc(slices.Clone(m.list), func(i ai.ModelInfo) bool { return !who.MayUse(i.ID) })
}

// getModel answers with one model. A name that only a pattern serves is one as well.
func (c *call) getModel(name string) *ai.Error {
	m := c.h.models
	c.x.Model.Requested = name
	info, ok := m.info(name)
	if !ok || !c.x.Identity.MayUse(name) {
		return m.unknown(name, c.x.Identity)
	}
	c.reply(http.StatusOK, jsonType, c.ax.Client.AppendModel(nil, info))
	return nil
}

func (m *models) info(name string) (ai.ModelInfo, bool) {
	for _, i := range m.list {
		if i.ID == name {
			return i, true
		}
	}
	r, _ := m.find(name)
	if r == nil {
		return ai.ModelInfo{}, false
	}
	return r.info(name, m.owner), true
}

// maxQuoted bounds how much of a client's text an error repeats, in bytes.
const maxQuoted = 100

// unknown is the error for a model that is not served to the caller, with what is.
func (m *models) unknown(name string, who *exchange.Identity) *ai.Error {
	text := "the model " + strconv.Quote(name[:min(len(name), maxQuoted)]) + " does not exist here"
	names := m.names
	if who.Restricted() {
		only := models{list: m.listFor(who)}
		only.describe()
		names = only.names
	}
	if names != "" {
		text += "; there are: " + names
	}
	return &ai.Error{Status: http.StatusNotFound, Code: "model_not_found", Param: "model", Message: text}
}
