package node

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
)

// images maps names of images to programs.
type images struct {
	mu    sync.Mutex
	table map[string]string
}

func (i *images) set(table map[string]string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.table = maps.Clone(table)
}

// program is the program of an image: by its reference as it is, without tag and digest, or by the last part of its name.
func (i *images) program(image string) (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	name := untagged(image)
	for _, key := range []string{image, name, path.Base(name)} {
		if p, ok := i.table[key]; ok {
			return p, nil
		}
	}
	return "", fmt.Errorf("image %q is not in the cluster's table of images, which has %s", image, strings.Join(slices.Sorted(maps.Keys(i.table)), ", "))
}

// untagged is a reference without its tag and digest.
func untagged(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		image = image[:i]
	}
	return image
}

// resolve is the path, in the container, of a command. The only program of an image is /NAME; a command by that name with any path
// is taken to be it, as images put their program where they like.
func resolve(program, command string) (string, error) {
	name := path.Base(program)
	switch {
	case command == "" || command == name:
		return "/" + name, nil
	case path.Base(command) == name:
		return command, nil
	}
	return "", fmt.Errorf("exec: %q: no such file in the image, whose only program is /%s", command, name)
}
