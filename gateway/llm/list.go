package llm

import (
	"net/http"
	"strconv"

	"github.com/nantian-gw/nantian/ai"
)

// listModels answers with the models that the handler serves.
func (c *call) listModels() *ai.Error {
	c.reply(http.StatusOK, jsonType, c.ax.Client.AppendModels(nil, c.h.models.list))
	return nil
}

// getModel answers with one model. A name that only a pattern serves is one as well.
func (c *call) getModel(name string) *ai.Error {
	m := c.h.models
	c.x.Model.Requested = name
	info, ok := m.info(name)
	if !ok {
		return m.unknown(name)
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

// unknown is the error for a model that is not served, with what is.
func (m *models) unknown(name string) *ai.Error {
	text := "the model " + strconv.Quote(name[:min(len(name), maxQuoted)]) + " does not exist here"
	if m.names != "" {
		text += "; there are: " + m.names
	}
	return &ai.Error{Status: http.StatusNotFound, Code: "model_not_found", Param: "model", Message: text}
}
