package resources

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	// maxNodes bounds a file after its aliases are followed; a few lines of aliases can stand for billions of nodes.
	maxNodes = 1 << 20
	// maxDepth bounds nesting.
	maxDepth = 100
)

// yamlError is a fault of the YAML itself.
type yamlError struct {
	line    int
	message string
}

func (e *yamlError) Error() string { return e.message }

// converter turns nodes into the values that encoding/json gives, with integers as int64, reading scalars as kubectl does
// (YAML 1.1). Keys alone stay as they are written.
type converter struct {
	// nodes counts what was converted.
	nodes int
	// warn is told of what kubectl would read differently.
	warn func(line int, message string)
}

func (c *converter) value(n *yaml.Node, depth int) (any, error) {
	c.nodes++
	if c.nodes > maxNodes || depth > maxDepth {
		return nil, &yamlError{n.Line, "is too large or too deeply nested"}
	}
	switch n.Kind {
	case yaml.AliasNode:
		return c.value(n.Alias, depth+1)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, e := range n.Content {
			v, err := c.value(e, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case yaml.MappingNode:
		return c.mapping(n, depth)
	case yaml.ScalarNode:
		return scalar(n)
	}
	return nil, &yamlError{n.Line, "is neither a mapping, a list nor a scalar"}
}

func (c *converter) mapping(n *yaml.Node, depth int) (any, error) {
	m := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode {
			return nil, &yamlError{k.Line, "a key is not a string"}
		}
		if k.ShortTag() == "!!merge" {
			return nil, &yamlError{k.Line, "the merge key << is not supported"}
		}
		name := unprotect(k.Value)
		if k.Style == 0 && isBool(name) {
			c.warn(k.Line, fmt.Sprintf("kubectl reads the key %s as a boolean: write %q", name, name))
		}
		if _, twice := m[name]; twice {
			return nil, &yamlError{k.Line, fmt.Sprintf("the key %q is there twice", name)}
		}
		v, err := c.value(n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		m[name] = v
	}
	return m, nil
}

// scalar reads a scalar as kubectl does. What looks like a time stays text.
func scalar(n *yaml.Node) (any, error) {
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool", "!!int", "!!float":
		return number(n)
	case "!!binary":
		var s string
		if err := n.Decode(&s); err != nil {
			return nil, &yamlError{n.Line, err.Error()}
		}
		return s, nil
	}
	if n.Style == 0 && isBool(n.Value) {
		return strings.EqualFold(n.Value, "yes") || strings.EqualFold(n.Value, "on"), nil
	}
	return unprotect(n.Value), nil
}

// isBool says whether YAML 1.1 has a boolean where YAML 1.2 has a string.
func isBool(s string) bool {
	switch s {
	case "yes", "Yes", "YES", "on", "On", "ON", "no", "No", "NO", "off", "Off", "OFF":
		return true
	}
	return false
}

func number(n *yaml.Node) (any, error) {
	var v any
	if err := n.Decode(&v); err != nil {
		return nil, &yamlError{n.Line, err.Error()}
	}
	switch v := v.(type) {
	case int:
		return int64(v), nil
	case uint64:
		return float64(v), nil
	}
	return v, nil
}

// variable is ${NAME} or ${NAME:-default}.
var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(:-[^}\n]*)?\}`)

// Stand-ins for the braces of a variable, from Unicode's private use area.
const (
	openBrace  = "\uE000"
	closeBrace = "\uE001"
)

// protect hides the braces of variables from the YAML parser, to which they would be a mapping in {token: ${KEY}}.
func protect(text []byte) []byte {
	return variable.ReplaceAllFunc(text, func(m []byte) []byte {
		inner := m[2 : len(m)-1]
		out := append([]byte("$"+openBrace), inner...)
		return append(out, closeBrace...)
	})
}

func unprotect(s string) string {
	if !strings.Contains(s, openBrace) {
		return s
	}
	return strings.NewReplacer(openBrace, "{", closeBrace, "}").Replace(s)
}

// documents splits a file into its YAML documents. The error is a *yamlError.
func documents(text []byte) ([]*yaml.Node, error) {
	if !utf8.Valid(text) {
		return nil, &yamlError{0, "is not UTF-8 text"}
	}
	dec := yaml.NewDecoder(strings.NewReader(string(protect(text))))
	var docs []*yaml.Node
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return docs, syntaxError(err)
		}
		if len(doc.Content) == 1 {
			docs = append(docs, doc.Content[0])
		}
	}
}

// syntaxLine finds the line in an error of the YAML parser.
var syntaxLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func syntaxError(err error) *yamlError {
	e := &yamlError{line: 1, message: unprotect(syntaxLine.ReplaceAllString(err.Error(), ""))}
	if m := syntaxLine.FindStringSubmatch(err.Error()); len(m) == 2 && m[1] != "" {
		_, _ = fmt.Sscan(m[1], &e.line)
	}
	return e
}
