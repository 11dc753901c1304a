package resources

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// lineOf finds the line of a field such as spec.rules[0].name below n. Of a field that is not there it is the line of the
// nearest one above it.
func lineOf(n *yaml.Node, path string) int {
	line := n.Line
	for path != "" {
		var k *yaml.Node
		k, n, path = descend(n, path)
		if n == nil {
			return line
		}
		line = k.Line
	}
	return line
}

// descend follows the first step of path: it returns the node that names the child (the key of a mapping), the child, and
// the rest of the path. The child is nil when there is none.
func descend(n *yaml.Node, path string) (key, child *yaml.Node, rest string) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	path = strings.TrimPrefix(path, ".")
	if strings.HasPrefix(path, "[") {
		return index(n, path)
	}
	if n.Kind != yaml.MappingNode {
		return nil, nil, ""
	}
	// A name may hold dots itself (a key of labels or data), so the keys that exist decide.
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i].Value
		tail, ok := strings.CutPrefix(path, name)
		if ok && (tail == "" || tail[0] == '.' || tail[0] == '[') {
			return n.Content[i], n.Content[i+1], tail
		}
	}
	return nil, nil, ""
}

func index(n *yaml.Node, path string) (key, child *yaml.Node, rest string) {
	inner, rest, ok := strings.Cut(path[1:], "]")
	if !ok {
		return nil, nil, ""
	}
	if n.Kind == yaml.MappingNode {
		return descend(n, inner+rest)
	}
	i, err := strconv.Atoi(inner)
	if err != nil || i < 0 || n.Kind != yaml.SequenceNode || i >= len(n.Content) {
		return nil, nil, ""
	}
	return n.Content[i], n.Content[i], rest
}
