package programs

import (
	"debug/elf"
	"fmt"
)

// CheckStatic is an error if a file is not a program that needs no other files: a container has none.
func CheckStatic(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("program %s: %w", path, err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("program %s is linked dynamically: expected a static one (CGO_ENABLED=0)", path)
		}
	}
	return nil
}
