package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/nantian-gw/nantian/test/cluster/internal/link"
	"github.com/nantian-gw/nantian/test/cluster/internal/plan"
)

// base is where clusters have their directories and locks, by the number of their network.
const base = "/run/nantian-cluster"

// lease is the right to a network and a directory. It is a lock of a file, which the kernel releases when this process ends.
type lease struct {
	network plan.Network
	dir     string
	lock    *os.File
}

// newLease takes the first network that is free. Directories that a cluster left behind that did not end by itself are removed.
func newLease() (*lease, error) {
	var found *lease
	for i := range plan.Networks {
		l, err := take(plan.Network{Index: i})
		if err == nil && l != nil {
			err = l.clean()
		}
		switch {
		case err != nil:
			return nil, errors.Join(err, found.release(), l.release())
		case l == nil:
			continue
		}
		free, err := link.Free(l.network)
		if err == nil && free && found == nil {
			found = l
			continue
		}
		if err := errors.Join(err, l.release()); err != nil {
			return nil, errors.Join(err, found.release())
		}
	}
	if found == nil {
		return nil, fmt.Errorf("no network is free for a cluster: %s to %s are in use", plan.Network{}.All(), plan.Network{Index: plan.Networks - 1}.All())
	}
	return found, os.MkdirAll(found.dir, 0o755)
}

// take locks a network; the lease is nil if another process has it. A lock whose file was removed in the meantime is none.
func take(n plan.Network) (*lease, error) {
	if err := os.MkdirAll(base, 0o755); err != nil { // the last cluster removes it
		return nil, err
	}
	dir := filepath.Join(base, strconv.Itoa(n.Index))
	f, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
			return nil, nil
		}
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	have, err1 := f.Stat()
	named, err2 := os.Stat(f.Name())
	if err1 != nil || err2 != nil || !os.SameFile(have, named) {
		return nil, f.Close()
	}
	return &lease{network: n, dir: dir, lock: f}, nil
}

// clean removes what a cluster with this network left.
func (l *lease) clean() error { return os.RemoveAll(l.dir) }

// release gives the network back.
func (l *lease) release() error {
	if l == nil {
		return nil
	}
	err := errors.Join(l.clean(), os.Remove(l.lock.Name()), l.lock.Close())
	_ = os.Remove(base) // if this was the last
	return err
}
