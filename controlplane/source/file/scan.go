package file

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nantian-gw/nantian/controlplane/resources"
)

// maxDepth bounds how deep folders are followed.
const maxDepth = 32

// file is one file that was read.
type file struct {
	// signature is what the file system says of it, sum the hash of its content.
	signature signature
	sum       [sha256.Size]byte
	objects   []resources.Object
	problems  []resources.Problem
}

// signature tells without reading whether a file has changed.
type signature struct {
	size int64
	time time.Time
	mode fs.FileMode
}

func signatureOf(i fs.FileInfo) signature {
	return signature{i.Size(), i.ModTime(), i.Mode()}
}

// scan looks at all files and says whether anything has changed. With all set each is read, else only those that look
// changed.
func (s *Source) scan(all bool) bool {
	found := s.find()
	s.folders = s.watching(found)
	changed := !slices.Equal(found.problems, s.unread)
	s.unread = found.problems
	for path, info := range found.files {
		changed = s.read(path, info, all) || changed
	}
	for path := range s.files {
		if _, ok := found.files[path]; !ok && !found.kept(path) {
			delete(s.files, path)
			changed = true
		}
	}
	return changed
}

// read reads one file, if need be, and says whether it has changed.
func (s *Source) read(path string, info fs.FileInfo, all bool) bool {
	old := s.files[path]
	if old != nil && !all && old.signature == signatureOf(info) {
		return false
	}
	text, err := s.text(path, info)
	now := &file{signature: signatureOf(info), sum: sha256.Sum256(text)}
	switch {
	case err != nil:
		// Its sum is that of no file, so that it is read again even when it comes back as it was.
		now.sum = [sha256.Size]byte{}
		now.problems = []resources.Problem{{Origin: resources.Origin{File: path}, Message: err.Error()}}
	case old != nil && old.sum == now.sum:
		old.signature = now.signature
		return false
	case old != nil:
		now.objects, now.problems = s.o.Decoder.Decode(path, text, old.objects...)
	default:
		now.objects, now.problems = s.o.Decoder.Decode(path, text)
	}
	changed := old == nil || err == nil || !slices.Equal(old.problems, now.problems)
	if old != nil {
		now.keep(old)
	}
	s.files[path] = now
	return changed
}

// text reads a file of at most MaxSize bytes.
func (s *Source) text(path string, info fs.FileInfo) ([]byte, error) {
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close()
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(f, s.o.MaxSize+1))
	if err != nil {
		return nil, reason(err)
	}
	if n > s.o.MaxSize {
		return nil, fmt.Errorf("has more than %d bytes", s.o.MaxSize)
	}
	return b.Bytes(), nil
}

// reason is an error without the path, which the problem has already.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// keep takes from the file as it was what cannot be read now: the objects that have faults, and all others too when what the
// file holds is not known in full.
func (f *file) keep(old *file) {
	bad := map[resources.Ref]bool{}
	for _, p := range f.problems {
		if !p.Warning {
			bad[p.Ref] = true
		}
	}
	all := bad[resources.Ref{}]
	have := map[resources.Ref]bool{}
	for _, o := range f.objects {
		have[o.Ref] = true
	}
	for _, o := range old.objects {
		if (all || bad[o.Ref]) && !have[o.Ref] {
			f.objects = append(f.objects, o)
		}
	}
}

// set makes a Set of all files, in order of their paths.
func (s *Source) set() *resources.Set {
	var objects []resources.Object
	problems := slices.Clone(s.unread)
	for _, path := range slices.Sorted(maps.Keys(s.files)) {
		objects = append(objects, s.files[path].objects...)
		problems = append(problems, s.files[path].problems...)
	}
	return resources.NewSet(objects, problems)
}

// found is what there is below the paths.
type found struct {
	files    map[string]fs.FileInfo
	problems []resources.Problem
	// lost are paths that cannot be looked at now: what was read there before is kept.
	lost []string
	// folders are all that were walked, real by their names without symbolic links.
	folders, real map[string]bool
	// max is the most files, over how many there are beyond.
	max, over int
}

func (f *found) problem(path string, err error) {
	f.lost = append(f.lost, path)
	f.problems = append(f.problems, resources.Problem{Origin: resources.Origin{File: path}, Message: err.Error()})
}

// kept says whether a file is at or below a path that cannot be looked at.
func (f *found) kept(path string) bool {
	return slices.ContainsFunc(f.lost, func(l string) bool {
		return path == l || strings.HasPrefix(path, strings.TrimSuffix(l, string(filepath.Separator))+string(filepath.Separator))
	})
}

func (s *Source) find() *found {
	f := &found{files: map[string]fs.FileInfo{}, folders: map[string]bool{}, real: map[string]bool{}, max: s.o.MaxFiles}
	for _, path := range s.o.Paths {
		path = filepath.Clean(path)
		info, err := os.Stat(path)
		switch {
		case err != nil:
			f.problem(path, reason(err))
		case info.IsDir():
			f.walk(path, 0)
		default:
			f.files[path] = info
		}
	}
	if f.over > 0 {
		f.problems = append(f.problems, resources.Problem{Message: fmt.Sprintf("%d files are not read: there are more than %d", f.over, f.max)})
	}
	return f
}

// walk finds the files of a folder. Symbolic links are followed, each folder is walked once. Names that begin with a dot
// are left out: what editors and mounted ConfigMaps keep beside the files.
func (f *found) walk(folder string, depth int) {
	real, err := filepath.EvalSymlinks(folder)
	if err != nil || f.real[real] || depth > maxDepth {
		return
	}
	f.real[real] = true
	f.folders[folder] = true
	entries, err := os.ReadDir(folder)
	if err != nil {
		f.problem(folder, reason(err))
		return
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			f.entry(filepath.Join(folder, e.Name()), depth)
		}
	}
}

func (f *found) entry(path string, depth int) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// Gone since the folder was listed, or a link that leads nowhere.
	case err != nil:
		f.problem(path, reason(err))
	case info.IsDir():
		f.walk(path, depth+1)
	case !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)):
	case len(f.files) >= f.max:
		f.over++
	default:
		f.files[path] = info
	}
}

// watching are the folders to watch: every one that was walked, and those of the files that are named themselves.
func (s *Source) watching(f *found) map[string]bool {
	for _, path := range s.o.Paths {
		f.folders[filepath.Dir(filepath.Clean(path))] = true
	}
	return f.folders
}
