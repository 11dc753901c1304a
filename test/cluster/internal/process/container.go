package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// BecomeContainer is the subcommand ContainerCommand. It returns only if it fails; the error then goes to who started it.
func BecomeContainer() {
	runtime.LockOSThread()
	status := os.NewFile(statusFD, "status")
	unix.CloseOnExec(statusFD) // the program's start closes it: that is the sign of success
	unix.CloseOnExec(netFD)
	err := becomeContainer()
	fmt.Fprint(status, err)
}

func becomeContainer() error {
	spec, err := readSpec[Spec]()
	if err != nil {
		return err
	}
	if err := unix.Setns(netFD, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the pod's network: %w", err)
	}
	if err := unix.Sethostname([]byte(spec.Hostname)); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	if err := spec.mountAll(); err != nil {
		return err
	}
	if err := os.Chdir(orRoot(spec.Dir)); err != nil {
		return fmt.Errorf("working directory: %w", err)
	}
	if err := spec.dropPrivileges(); err != nil {
		return err
	}
	err = syscall.Exec(spec.Args[0], spec.Args, spec.Env)
	return fmt.Errorf("exec %q: %w", spec.Args[0], err)
}

// readSpec reads what Start or Exec wrote.
func readSpec[T any]() (T, error) {
	var spec T
	in := os.NewFile(specFD, "spec")
	defer in.Close()
	if err := json.NewDecoder(in).Decode(&spec); err != nil {
		return spec, fmt.Errorf("specification: %w", err)
	}
	return spec, nil
}

func orRoot(dir string) string {
	if dir == "" {
		return "/"
	}
	return dir
}

// mountAll builds the root directory and makes it the root.
func (s *Spec) mountAll() error {
	if err := unix.Mount(s.Root, s.Root, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("root directory: %w", err)
	}
	if err := s.mountKernel(); err != nil {
		return err
	}
	slices.SortStableFunc(s.Mounts, func(a, b Mount) int { return strings.Count(a.Target, "/") - strings.Count(b.Target, "/") })
	for _, m := range s.Mounts {
		if err := m.mount(s.Root); err != nil {
			return fmt.Errorf("mount %s: %w", m.Target, err)
		}
	}
	if s.ReadOnlyRoot {
		if err := readOnly(s.Root); err != nil {
			return fmt.Errorf("read-only root: %w", err)
		}
	}
	return pivot(s.Root)
}

// devices are those that every container has.
var devices = []string{"null", "zero", "full", "random", "urandom"}

// mountKernel mounts /proc and /dev.
func (s *Spec) mountKernel() error {
	proc, dev := filepath.Join(s.Root, "proc"), filepath.Join(s.Root, "dev")
	for _, dir := range []string{proc, dev} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("proc", proc, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := (Mount{Source: filepath.Join(proc, "sys"), Target: "/proc/sys", ReadOnly: true}).mount(s.Root); err != nil {
		return fmt.Errorf("mount /proc/sys: %w", err)
	}
	if err := unix.Mount("tmpfs", dev, "tmpfs", unix.MS_NOSUID, "mode=755,size=64m"); err != nil {
		return fmt.Errorf("mount /dev: %w", err)
	}
	for _, name := range devices {
		if err := (Mount{Source: "/dev/" + name, Target: "/dev/" + name}).mount(s.Root); err != nil {
			return fmt.Errorf("device %s: %w", name, err)
		}
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(target, filepath.Join(dev, name)); err != nil {
			return err
		}
	}
	shm := filepath.Join(dev, "shm")
	if err := os.Mkdir(shm, 0o1777); err != nil {
		return err
	}
	return os.Chmod(shm, 0o1777|os.ModeSticky)
}

// mount binds the source below the root, at a target that is made if it is not there.
func (m Mount) mount(root string) error {
	target := filepath.Join(root, filepath.Clean("/"+m.Target))
	info, err := os.Stat(m.Source)
	if err != nil {
		return err
	}
	if err := makeTarget(target, info.IsDir()); err != nil {
		return err
	}
	if err := unix.Mount(m.Source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	if m.ReadOnly {
		return readOnly(target)
	}
	return nil
}

func makeTarget(target string, dir bool) error {
	if _, err := os.Stat(target); err == nil {
		return nil
	}
	if dir {
		return os.MkdirAll(target, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	return os.WriteFile(target, nil, 0o644)
}

func readOnly(target string) error {
	return unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
}

// pivot makes root the root directory and lets go of the node's files.
func pivot(root string) error {
	if err := os.Chdir(root); err != nil {
		return err
	}
	// pivot_root(2): with both the same, the old root is on top of the new one, and is unmounted by its path.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount the node's files: %w", err)
	}
	return os.Chdir("/")
}

// dropPrivileges gives up what the specification does not ask for. Capabilities go first, as that needs one of them.
func (s *Spec) dropPrivileges() error {
	for c := 0; c <= unix.CAP_LAST_CAP; c++ {
		if slices.Contains(s.Capabilities, c) {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	if s.NoNewPrivileges {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("no new privileges: %w", err)
		}
	}
	if err := syscall.Setgroups(s.Groups); err != nil {
		return fmt.Errorf("groups: %w", err)
	}
	if err := syscall.Setgid(s.GID); err != nil {
		return fmt.Errorf("group: %w", err)
	}
	if err := syscall.Setuid(s.UID); err != nil {
		return fmt.Errorf("user: %w", err)
	}
	return nil
}
