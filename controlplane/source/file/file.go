// Package file is the Source of standalone mode: files and folders of the same YAML that a cluster takes.
//
// It owns the reading and the watching. A file that cannot be read or understood keeps the objects that it had before, so
// that a slip in an editor takes nothing down.
package file

import (
	"context"
	"fmt"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/source"
)

// Options say what to read. The zero value of each number is its default.
type Options struct {
	// Paths are files, of any name, and folders, of which all *.yaml, *.yml and *.json are read, subfolders included.
	Paths []string
	// Decoder reads what is in the files.
	Decoder *resources.Decoder
	// Poll is how often files are looked at where the file system tells of no changes; 2 s.
	Poll time.Duration
	// Quiet is how long there must be no change before files are read, 50 ms, but at most Patience after the first, 500 ms.
	Quiet, Patience time.Duration
	// MaxSize is the most bytes of a file, 16 MiB, MaxFiles the most files, 10,000. What is beyond is a problem.
	MaxSize  int64
	MaxFiles int
}

// Source reads and watches files. It serves one Run at a time.
type Source struct {
	o Options
	// files are those that were read, by path.
	files map[string]*file
	// unread are problems that belong to no file that was read.
	unread []resources.Problem
	// folders are those that the last look found.
	folders map[string]bool
}

var _ source.Source = (*Source)(nil)

// New returns a Source; nothing is read yet.
func New(o Options) *Source {
	if o.Poll == 0 {
		o.Poll = 2 * time.Second
	}
	if o.Quiet == 0 {
		o.Quiet = 50 * time.Millisecond
	}
	if o.Patience == 0 {
		o.Patience = 500 * time.Millisecond
	}
	if o.MaxSize == 0 {
		o.MaxSize = 16 << 20
	}
	if o.MaxFiles == 0 {
		o.MaxFiles = 10_000
	}
	return &Source{o: o, files: map[string]*file{}}
}

// Read reads everything once.
func (s *Source) Read() *resources.Set {
	s.scan(true)
	return s.set()
}

// Run implements source.Source. Where the system cannot watch files, polling alone finds their changes.
func (s *Source) Run(ctx context.Context, changed func(*resources.Set)) error {
	if s.o.Decoder == nil || len(s.o.Paths) == 0 {
		return fmt.Errorf("file source: no decoder or no paths")
	}
	w := &watch{seen: map[string]bool{}}
	if n, err := fsnotify.NewWatcher(); err == nil {
		w.notify = n
		defer n.Close()
	}
	s.look(w, true)
	changed(s.set())
	s.loop(ctx, w, changed)
	return nil
}

// loop waits for changes: told ones are gathered until there is quiet, others are found by polling.
func (s *Source) loop(ctx context.Context, w *watch, changed func(*resources.Set)) {
	poll := time.NewTicker(s.o.Poll)
	defer poll.Stop()
	var quiet, patience <-chan time.Time
	read := func(all bool) {
		quiet, patience = nil, nil
		if s.look(w, all) {
			changed(s.set())
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.events():
			quiet = time.After(s.o.Quiet)
			if patience == nil {
				patience = time.After(s.o.Patience)
			}
		case <-w.errors():
			// The queue of events has overflowed: look at everything.
			quiet = time.After(s.o.Quiet)
		case <-quiet:
			read(true)
		case <-patience:
			read(true)
		case <-poll.C:
			read(false)
		}
	}
}

// look scans, and scans again when that has found folders that were not watched: what changed in them before they were is
// then seen. It says whether anything has changed.
func (s *Source) look(w *watch, all bool) bool {
	changed := s.scan(all)
	for w.add(s.folders) {
		changed = s.scan(true) || changed
	}
	return changed
}

// watch is the part of fsnotify that is used; it does nothing where fsnotify is not available.
type watch struct {
	notify *fsnotify.Watcher
	seen   map[string]bool
}

func (w *watch) events() <-chan fsnotify.Event {
	if w.notify == nil {
		return nil
	}
	return w.notify.Events
}

func (w *watch) errors() <-chan error {
	if w.notify == nil {
		return nil
	}
	return w.notify.Errors
}

// add watches exactly these folders and says whether some are new. One that cannot be watched is left to polling.
func (w *watch) add(folders map[string]bool) (more bool) {
	if w.notify == nil {
		return false
	}
	for f := range folders {
		// Again each time: a folder that was replaced by another one of its name is a new one to the system.
		if w.notify.Add(f) == nil {
			more = more || !w.seen[f]
			w.seen[f] = true
		}
	}
	for f := range w.seen {
		if !folders[f] {
			_ = w.notify.Remove(f)
			delete(w.seen, f)
		}
	}
	return more
}
