package volume

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// file is one file of a volume.
type file struct {
	data []byte
	mode fs.FileMode
}

// names that a volume of files has beside them; paths of files cannot begin with two dots.
const (
	current = "..data"
	next    = "..data_tmp"
)

// write makes dir hold the files, all at once for whoever reads them: as a kubelet does, they are in a directory that ..data links
// to, which is replaced by a rename. It reports whether anything changed.
func write(dir string, files map[string]file, group int) (bool, error) {
	if same(dir, files) {
		return false, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return false, err
	}
	data, err := os.MkdirTemp(dir, "..data-")
	if err != nil {
		return false, err
	}
	old, _ := os.Readlink(filepath.Join(dir, current))
	if err := fill(data, files, group); err != nil {
		return false, errors.Join(err, os.RemoveAll(data))
	}
	if err := swap(dir, filepath.Base(data), files); err != nil {
		return false, err
	}
	if old != "" {
		return true, os.RemoveAll(filepath.Join(dir, old))
	}
	return true, nil
}

// same reports whether the volume has these files and no other.
func same(dir string, files map[string]file) bool {
	data := filepath.Join(dir, current) + "/"
	n := 0
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		want, ok := files[strings.TrimPrefix(path, data)]
		have, err := os.ReadFile(path)
		if err != nil || !ok || !bytes.Equal(have, want.data) {
			return fs.ErrNotExist
		}
		return nil
	})
	return err == nil && n == len(files)
}

func fill(data string, files map[string]file, group int) error {
	if err := os.Chmod(data, 0o755); err != nil {
		return err
	}
	for name, f := range files {
		path := filepath.Join(data, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.data, f.mode); err != nil {
			return err
		}
		if err := os.Chmod(path, f.mode); err != nil { // whatever the umask
			return err
		}
		if group >= 0 {
			if err := os.Chown(path, -1, group); err != nil {
				return fmt.Errorf("fsGroup: %w", err)
			}
			if err := os.Chmod(path, f.mode|0o440); err != nil {
				return err
			}
		}
	}
	return nil
}

// swap makes ..data link to the new directory, links each top-level name to it, and removes links to names that are gone.
func swap(dir, data string, files map[string]file) error {
	tmp := filepath.Join(dir, next)
	_ = os.Remove(tmp)
	if err := os.Symlink(data, tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(dir, current)); err != nil {
		return err
	}
	top := map[string]bool{}
	for name := range files {
		first, _, _ := strings.Cut(name, "/")
		top[first] = true
	}
	for name := range top {
		if err := os.Symlink(filepath.Join(current, name), filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "..") && !top[e.Name()] {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
