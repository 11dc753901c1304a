package xdstest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	control "github.com/nantian-gw/nantian/controlplane/xds"
	data "github.com/nantian-gw/nantian/gateway/xds"
)

func key(from string) func() ([]byte, error) {
	return func() ([]byte, error) { return data.KeyFrom([]byte(from)) }
}

// kept runs a data plane until it has kept a set with a secret in it.
func kept(t *testing.T, dir string) {
	t.Helper()
	w := newWatcher()
	p := start(t, control.Options{Observer: w})
	o := options(&line{plane: p}, newSink())
	o.Dir, o.Key = dir, key("k")
	_, stop := run(t, o)
	p.set(snap(t, listener(), route("a", "/a", echoKey), backend("echo"), secret("s", "hunter2")), echo("10.0.0.1"))
	w.until(t, "ACK", func(dp control.DataPlane) bool { return dp.Resources.Acked != "" })
	stop()
	p.stop()
}

// Started without a control plane, a data plane serves the last good set.
func TestStartWithoutControlPlane(t *testing.T) {
	dir := t.TempDir()
	kept(t, dir)
	s := newSink()
	o := options(&line{}, s)
	o.Dir, o.Key = dir, key("k")
	c, _ := run(t, o)
	eventually(t, "ready", func() bool { return c.Ready() == nil })
	if got := s.keys(); len(got) != 4 {
		t.Errorf("serves %v", got)
	}
	if got := s.addresses("echo"); !slices.Equal(got, []string{"10.0.0.1"}) {
		t.Errorf("echo is at %v", got)
	}
}

// What is on disk is its owner's alone, and unreadable without the key.
func TestDiskIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deeper", "state")
	kept(t, dir)
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", f.Name(), info.Mode(), err)
		}
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil || bytes.Contains(b, []byte("hunter2")) || bytes.Contains(b, []byte("route/http")) {
			t.Errorf("%s can be read by others: %v", f.Name(), err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", info.Mode(), err)
	}
}

// What cannot be used is left aside, and the control plane sends all anew.
func TestUnusableDisk(t *testing.T) {
	f := func(what string, change func(dir string, o *data.Options)) {
		t.Helper()
		dir := t.TempDir()
		kept(t, dir)
		w := newWatcher()
		p, s := start(t, control.Options{Observer: w}), newSink()
		p.set(snap(t, listener()), nil)
		o := options(&line{plane: p}, s)
		o.Dir, o.Key = dir, key("k")
		change(dir, &o)
		_, stop := run(t, o)
		w.until(t, "ACK", func(dp control.DataPlane) bool { return dp.Resources.Acked != "" })
		var u bool
		s.see(func() { u = s.updates[len(s.updates)-1].Full && len(s.updates[len(s.updates)-1].Set) == 1 })
		if !u || s.count() > 2 {
			t.Errorf("%s: the set on disk was used: %v", what, s.keys())
		}
		stop()
	}
	path := func(dir string) string { return filepath.Join(dir, "resources.last-good") }
	f("another key", func(_ string, o *data.Options) { o.Key = key("other") })
	f("a key of the wrong size", func(_ string, o *data.Options) { o.Key = func() ([]byte, error) { return []byte("short"), nil } })
	f("no key", func(_ string, o *data.Options) {
		o.Key = func() ([]byte, error) { return nil, errors.New("not there") }
	})
	f("cut", func(dir string, _ *data.Options) { os.Truncate(path(dir), 60) })
	f("empty", func(dir string, _ *data.Options) { os.Truncate(path(dir), 0) })
	f("damaged", func(dir string, _ *data.Options) {
		b, _ := os.ReadFile(path(dir))
		b[len(b)/2] ^= 1
		os.WriteFile(path(dir), b, 0o600)
	})
	f("endpoints in place of resources", func(dir string, _ *data.Options) { os.Rename(filepath.Join(dir, "endpoints.last-good"), path(dir)) })
	f("another group's", func(_ string, o *data.Options) { o.Node.Group = "" })
}

// With a new key everything is written anew, without any change of configuration.
func TestKeyRotation(t *testing.T) {
	dir := t.TempDir()
	kept(t, dir)
	w := newWatcher()
	p := start(t, control.Options{Observer: w})
	p.set(snap(t, listener()), nil)
	o := options(&line{plane: p}, newSink())
	var rotated atomic.Bool
	o.Dir = dir
	o.Key = func() ([]byte, error) {
		if rotated.Load() {
			return key("new")()
		}
		return key("k")()
	}
	_, stop := run(t, o)
	w.until(t, "ACK", func(dp control.DataPlane) bool { return dp.Resources.Acked != "" })
	first := contents(t, dir)
	eventually(t, "the new set is written", func() bool { return contents(t, dir) != first })
	before := contents(t, dir)
	rotated.Store(true)
	eventually(t, "both are written with the new key", func() bool { return contents(t, dir) != before })
	stop()
	p.stop()

	s := newSink()
	o.Sink, o.Dial = s, (&line{}).dial
	c, _ := run(t, o)
	eventually(t, "ready by the new key", func() bool { return c.Ready() == nil })
}

func contents(t *testing.T, dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, "resources.last-good"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

func TestDirNeedsKey(t *testing.T) {
	o := options(&line{}, newSink())
	o.Dir = t.TempDir()
	if _, err := data.New(o); err == nil {
		t.Error("secrets would go to disk in clear text")
	}
}

// A set that was refused is not kept.
func TestRefusedIsNotKept(t *testing.T) {
	dir := t.TempDir()
	w := newWatcher()
	p := start(t, control.Options{Observer: w})
	o := options(&line{plane: p}, newSink())
	o.Dir, o.Key = dir, key("k")
	_, stop := run(t, o)
	p.set(snap(t, listener(), route("a", "/good", echoKey), backend("echo")), echo())
	w.until(t, "ACK", func(dp control.DataPlane) bool { return dp.Resources.Acked != "" })
	eventually(t, "the good set is written", func() bool { return contents(t, dir) != "" })
	p.set(snap(t, listener(), broken("a"), backend("echo")), echo())
	w.until(t, "NACK", func(dp control.DataPlane) bool { return dp.Resources.Refused != nil })
	stop()
	p.stop()

	s := newSink()
	o.Sink, o.Dial = s, (&line{}).dial
	run(t, o)
	eventually(t, "something serves", func() bool { return len(s.keys()) > 0 })
	if got := s.path("a"); got != "/good" {
		t.Errorf("serves %s", got)
	}
}
