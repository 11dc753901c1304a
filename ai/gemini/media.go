package gemini

import (
	"fmt"
	"path"
	"strings"

	"github.com/nantian-gw/nantian/ai"
)

// filesURL is where the Files API keeps what was uploaded (https://ai.google.dev/api/files).
const filesURL = "https://generativelanguage.googleapis.com/v1beta/"

// input writes a part that any turn may hold: text or media. What Gemini cannot take is refused; i and j say where it
// stands.
func (e *encoder) input(i, j int, p *ai.Part) {
	e.hints(p)
	if p.Kind == ai.PartText {
		e.textPart(p.Text, "")
		return
	}
	if p.Media != nil && p.Media.Detail != "" && p.Media.Detail != "auto" {
		e.gaps.Leave(fmt.Sprintf("messages[%d].content[%d].image_url.detail", i, j))
	}
	if p.Media == nil || !e.media(p.Media) {
		e.gaps.RefusePart(e.c, i, j)
	}
}

func (e *encoder) media(m *ai.Media) bool {
	switch {
	case m.Data != "":
		return e.inline(m)
	case strings.HasPrefix(m.URL, "data:"):
		mime, data, ok := strings.Cut(m.URL[len("data:"):], ";base64,")
		return ok && e.inline(&ai.Media{MIME: mime, Data: data, Name: m.Name})
	case m.URL != "":
		return e.byURI(m, m.URL)
	case strings.HasPrefix(m.FileID, "files/"):
		return e.byURI(m, filesURL+m.FileID)
	case m.FileID != "":
		return e.byURI(m, m.FileID)
	}
	return false
}

// inline needs the type of the data.
func (e *encoder) inline(m *ai.Media) bool {
	t := mediaType(m, m.Name)
	if t == "" {
		return false
	}
	e.Open()
	e.Object("inlineData")
	e.Text("mimeType", t)
	e.Text("data", m.Data)
	e.Shut()
	e.Shut()
	return true
}

// byURI passes a file of the Files API or a public or signed URL, which Gemini fetches itself
// (https://ai.google.dev/gemini-api/docs/file-input-methods). Gemini 2.0 and older take only the former.
func (e *encoder) byURI(m *ai.Media, uri string) bool {
	if !strings.HasPrefix(uri, "https://") && !strings.HasPrefix(uri, "http://") {
		return false
	}
	if e.model.is2() && e.model.minor == 0 && !strings.HasPrefix(uri, filesURL) {
		return false
	}
	e.Open()
	e.Object("fileData")
	if t := mediaType(m, uri); t != "" {
		e.Text("mimeType", t)
	}
	e.Text("fileUri", uri)
	e.Shut()
	e.Shut()
	return true
}

// mediaType is the type that the client gave, else what the name's ending says, else empty.
func mediaType(m *ai.Media, name string) string {
	if m.MIME != "" && !strings.HasSuffix(m.MIME, "/*") {
		return m.MIME
	}
	name, _, _ = strings.Cut(name, "?")
	switch strings.ToLower(path.Ext(name)) {
	case ".png":
		return "image/png"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".webp":
		return "image/webp"
	case ".gif":
		return "image/gif"
	case ".heic":
		return "image/heic"
	case ".pdf":
		return "application/pdf"
	case ".txt", ".md":
		return "text/plain"
	case ".csv":
		return "text/csv"
	case ".html":
		return "text/html"
	case ".wav":
		return "audio/wav"
	case ".mp3":
		return "audio/mp3"
	case ".mp4":
		return "video/mp4"
	}
	return ""
}
