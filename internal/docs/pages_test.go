package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// page is a Markdown file. name is relative to the root of the module.
type page struct {
	name, text string
	fences     []fence
}

// fence is a fenced block. The commands of a sh block are run; an output block is what the sh block before it prints.
type fence struct {
	lang, text string
	// source is the example that the block must be equal to, from the comment before it.
	source string
	// from and to are the positions of the text in the page.
	from, to int
}

var fenced = regexp.MustCompile("(?ms)(?:^<!-- ([^\n ]+) -->\n\n?)?^```([a-z]*)\n(.*?)^```$")

// pages reads all pages that are written by hand.
func pages(t *testing.T) []*page {
	t.Helper()
	var out []*page
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} {
		out = append(out, readPage(t, name))
	}
	err := filepath.WalkDir(root+"/docs", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".md") {
			out = append(out, readPage(t, strings.TrimPrefix(path, root+"/")))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func readPage(t *testing.T, name string) *page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	p := &page{name: name, text: string(text)}
	for _, m := range fenced.FindAllStringSubmatchIndex(p.text, -1) {
		f := fence{lang: p.text[m[4]:m[5]], text: p.text[m[6]:m[7]], from: m[6], to: m[7]}
		if m[2] >= 0 {
			f.source = p.text[m[2]:m[3]]
		}
		p.fences = append(p.fences, f)
	}
	return p
}

// TestYAML wants YAML on pages to be an example, which TestExamples checks.
func TestYAML(t *testing.T) {
	for _, p := range pages(t) {
		changed := false
		for i := len(p.fences) - 1; i >= 0; i-- {
			f := p.fences[i]
			if f.lang != "yaml" || strings.HasPrefix(p.name, "docs/adr/") {
				continue
			}
			if f.source == "" {
				t.Errorf("%s: a block of YAML has no comment before it that names its example", p.name)
				continue
			}
			want, err := os.ReadFile(filepath.Join(root, f.source))
			if err != nil {
				t.Errorf("%s: %v", p.name, err)
			} else if string(want) != f.text {
				p.text, changed = p.text[:f.from]+string(want)+p.text[f.to:], true
			}
		}
		if !changed || t.Failed() {
			continue
		}
		if !*update {
			t.Errorf("%s: YAML differs from its example; run make generate", p.name)
		} else if err := os.WriteFile(filepath.Join(root, p.name), []byte(p.text), 0o644); err != nil {
			t.Error(err)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)|src(?:set)?="([^"]+)"`)

// TestLinks wants links within the repository to lead to a file, and to a heading of it.
func TestLinks(t *testing.T) {
	for _, p := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(p.text, -1) {
			to := m[1] + m[2]
			if strings.Contains(to, "://") {
				continue
			}
			file, anchor, _ := strings.Cut(to, "#")
			target := filepath.Join(root, filepath.Dir(p.name), file)
			if file == "" {
				target = filepath.Join(root, p.name)
			}
			text, err := os.ReadFile(target)
			if info, serr := os.Stat(target); serr == nil && info.IsDir() {
				continue
			}
			if err != nil || anchor != "" && !anchors(string(text))[anchor] {
				t.Errorf("%s: the link to %s leads nowhere", p.name, to)
			}
		}
	}
}

var (
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	unlink  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the names that GitHub gives to headings.
func anchors(text string) map[string]bool {
	out := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		name := unlink.ReplaceAllString(strings.ToLower(m[1]), "")
		out[strings.ReplaceAll(name, " ", "-")] = true
	}
	return out
}
