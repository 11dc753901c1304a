package openai

import (
	"encoding/base64"
	"strings"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

func (e *encoder) image(m *ai.Media) bool {
	if m.Data == "" && m.URL == "" {
		return false
	}
	e.raw(`"type":"image_url","image_url":{"url":`)
	e.url(m)
	if m.Detail != "" {
		e.text("detail", m.Detail)
	}
	e.raw("}")
	return true
}

// url writes a URL, or inline data as one.
func (e *encoder) url(m *ai.Media) {
	if m.Data == "" {
		e.b = jsonscan.AppendQuoted(e.b, m.URL)
		return
	}
	e.raw(`"data:`)
	e.b = jsonscan.AppendEscaped(e.b, m.MIME)
	e.raw(";base64,")
	e.b = jsonscan.AppendEscaped(e.b, m.Data)
	e.raw(`"`)
}

func (e *encoder) audio(m *ai.Media) bool {
	format, ok := strings.CutPrefix(m.MIME, "audio/")
	if m.Data == "" || !ok {
		return false
	}
	switch format {
	case "mpeg":
		format = "mp3"
	case "x-wav", "wave", "vnd.wave":
		format = "wav"
	}
	e.raw(`"type":"input_audio","input_audio":{`)
	e.text("data", m.Data)
	e.text("format", format)
	e.raw("}")
	return true
}

// file writes a file. Plain text, which Anthropic takes as a document, is written as text.
func (e *encoder) file(p *ai.Part) bool {
	m := p.Media
	if len(p.Raw) > 0 && !e.family() { // has what only its own vendor understands
		return false
	}
	if m.MIME == "text/plain" && m.Data != "" {
		t, err := base64.StdEncoding.DecodeString(m.Data)
		if err != nil {
			return false
		}
		e.raw(`"type":"text"`)
		if m.Name != "" {
			t = append([]byte(m.Name+"\n\n"), t...)
		}
		e.key("text")
		e.b = jsonscan.AppendQuoted(e.b, t)
		return true
	}
	if m.Data == "" && m.FileID == "" || m.FileID != "" && !e.family() {
		return false
	}
	e.raw(`"type":"file","file":{`)
	if m.FileID != "" {
		e.text("file_id", m.FileID)
	} else {
		name := m.Name
		if name == "" {
			name = "file" + extension(m.MIME)
		}
		e.text("filename", name)
		e.key("file_data")
		e.url(m)
	}
	e.raw("}")
	return true
}

// extension is the ending of a file without a name. OpenAI demands names.
func extension(mime string) string {
	if mime == mimePDF {
		return ".pdf"
	}
	return ""
}
