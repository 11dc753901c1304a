package rules

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	maxFile     = 700
	maxFunction = 100
)

// source is one file of the module's own Go code, neither generated nor a test.
type source struct {
	name string
	text []byte
	fset *token.FileSet
	ast  *ast.File
}

func (s *source) line(p token.Pos) int { return s.fset.Position(p).Line }

func sources(t *testing.T) []*source {
	t.Helper()
	root := "../.."
	var out []*source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata" || name == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		s, err := parse(path)
		if err == nil && !ast.IsGenerated(s.ast) {
			out = append(out, s)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 50 {
		t.Fatalf("only %d files found", len(out))
	}
	return out
}

func parse(path string) (*source, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &source{name: strings.TrimPrefix(filepath.ToSlash(path), "../../"), text: text, fset: token.NewFileSet()}
	s.ast, err = parser.ParseFile(s.fset, path, text, parser.ParseComments)
	return s, err
}

func TestFilesAndFunctionsAreShort(t *testing.T) {
	var all, long int
	for _, s := range sources(t) {
		if n := bytes.Count(s.text, []byte{'\n'}); n > maxFile {
			t.Errorf("%s has %d lines, more than %d", s.name, n, maxFile)
		}
		for _, d := range s.ast.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			all++
			n := s.line(f.End()) - s.line(f.Pos()) + 1
			if n > 40 {
				long++
			}
			if n > maxFunction {
				t.Errorf("%s: %s has %d lines, more than %d", s.name, f.Name.Name, n, maxFunction)
			}
		}
	}
	if long*10 > all {
		t.Errorf("%d of %d functions are longer than 40 lines, more than one in ten", long, all)
	}
}

// forbidden are calls that have no place outside of tests, with the reason.
var forbidden = map[string]string{
	"time.Sleep":         "wait for an event, or for a timer beside a context",
	"http.DefaultClient": "it has no timeouts",
	"http.Get":           "it has no timeouts",
	"os.Exit":            "only main ends the process",
	"log.Fatal":          "only main ends the process",
}

func TestForbiddenCalls(t *testing.T) {
	for _, s := range sources(t) {
		if strings.HasPrefix(s.name, "test/") || strings.HasPrefix(s.name, "benchmarks/") {
			continue // they test, and are no part of the product
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, _ := sel.X.(*ast.Ident)
			if x != nil {
				call := x.Name + "." + sel.Sel.Name
				if why, bad := forbidden[call]; bad && s.ast.Name.Name != "main" {
					t.Errorf("%s:%d: %s: %s", s.name, s.line(n.Pos()), call, why)
				}
			}
			if sel.Sel.Name == "URI" && strings.HasPrefix(s.name, "gateway/") {
				t.Errorf("%s:%d: URI(): the exchange's Path and Query are the only truth", s.name, s.line(n.Pos()))
			}
			return true
		})
	}
}

func TestNoInit(t *testing.T) {
	for _, s := range sources(t) {
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s:%d: init(): registries are explicit tables here", s.name, s.line(f.Pos()))
			}
		}
	}
}

// Exported names are documented, where others import them.
func TestExportedNamesAreDocumented(t *testing.T) {
	for _, s := range sources(t) {
		if s.ast.Name.Name == "main" {
			continue
		}
		for _, d := range s.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
					t.Errorf("%s:%d: %s has no doc comment", s.name, s.line(d.Pos()), d.Name.Name)
				}
			case *ast.GenDecl:
				s.checkTypes(t, d)
			}
		}
	}
}

func (s *source) checkTypes(t *testing.T, d *ast.GenDecl) {
	for _, spec := range d.Specs {
		ts, ok := spec.(*ast.TypeSpec)
		if ok && ts.Name.IsExported() && d.Doc == nil && ts.Doc == nil {
			t.Errorf("%s:%d: %s has no doc comment", s.name, s.line(ts.Pos()), ts.Name.Name)
		}
	}
}

// exportedReceiver says whether a function is one that others can call by name: methods of unexported types are not, nor
// are those that implement a known interface in one line.
func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	typ := f.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if ix, ok := typ.(*ast.IndexExpr); ok {
		typ = ix.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported() && !wellKnown[f.Name.Name]
}

// wellKnown are methods whose meaning their name says.
var wellKnown = map[string]bool{"Error": true, "Unwrap": true, "String": true, "Len": true, "Less": true, "Swap": true}
