package docs

import (
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

const simulatorIntroduction = `# The simulated provider

Written by ` + "`make generate`" + ` from the comment of package ` + "`internal/simulator`" + `. ` + "`nantian simulate`" + ` runs it alone, ` + "`nantian run\n--simulate ADDRESS`" + ` beside a gateway.
A gateway does not pass these headers on, so through one the directives go into the text or into the model of a target.

`

func TestSimulator(t *testing.T) {
	const file = root + "/internal/simulator/doc.go"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	p := &doc.Package{}
	printer := p.Printer()
	printer.HeadingLevel = 2
	md := string(printer.Markdown(p.Parser().Parse(f.Doc.Text())))
	md, _, _ = strings.Cut(md, "The package must not import")
	md = strings.ReplaceAll(md, "{#hdr-Directives}", "")
	generated(t, "reference/simulator.md", simulatorIntroduction+strings.TrimSpace(md)+"\n")
}
