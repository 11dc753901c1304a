//go:build linux

package features

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"

	"github.com/nantian-gw/nantian/test/rig"
)

// inside marks the process that runs the tests in a network namespace.
const inside = "NANTIAN_FEATURES_INSIDE"

// TestMain runs the tests in a network namespace of their own: the conformance tests want listeners at ports 80, 443 and
// 8080, and see them in redirects.
func TestMain(m *testing.M) {
	if os.Getenv(inside) != "" {
		if err := loopbackUp(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	os.Exit(enter())
}

// enter builds the binary, for which the namespace has no network, and runs this process again inside.
func enter() int {
	dir, err := os.MkdirTemp("", "nantian-features-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	path, err := build(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), inside+"=1", "NANTIAN="+path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if uid := os.Getuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, "network namespace:", err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}

// build builds the binary, unless NANTIAN names one.
func build(dir string) (string, error) {
	if path := os.Getenv("NANTIAN"); path != "" {
		return path, nil
	}
	path := filepath.Join(dir, "nantian")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/nantian")
	cmd.Dir = rig.Root()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
}

// loopbackUp switches on the loopback interface, with all of 127.0.0.0/8.
func loopbackUp() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	var request struct {
		name  [syscall.IFNAMSIZ]byte
		flags int16
		_     [22]byte
	}
	copy(request.name[:], "lo")
	request.flags = syscall.IFF_UP | syscall.IFF_RUNNING
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return fmt.Errorf("switch on the loopback interface: %w", errno)
	}
	l, err := net.Listen("tcp", "127.1.2.3:80")
	if err != nil {
		return fmt.Errorf("loopback addresses: %w", err)
	}
	return l.Close()
}
