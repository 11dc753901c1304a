package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxExecOutput bounds what is kept of a command's output, as a kubelet does.
const maxExecOutput = 10 << 10

// execSpec is a command to run beside a container's program.
type execSpec struct {
	PID      int
	Args     []string
	Env      []string
	UID, GID int
	Groups   []int
}

// Exec runs a command in the container and returns its exit code and the begin of its output. An error means that it did not run,
// or not to its end. When the context ends, the command is killed.
func (p *Process) Exec(ctx context.Context, spec *Spec, args []string) (code int, out []byte, err error) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", ExecCommand)
	buf := &limited{max: maxExecOutput}
	cmd.Stdout, cmd.Stderr = buf, buf
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it passes that on as SIGKILL
	cmd.WaitDelay = time.Second
	status, err := startWith(cmd, execSpec{PID: p.PID(), Args: args, Env: spec.Env, UID: spec.UID, GID: spec.GID, Groups: spec.Groups})
	if err != nil {
		return 0, nil, err
	}
	var failure bytes.Buffer
	_, _ = failure.ReadFrom(status)
	_ = status.Close()
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return 0, buf.Bytes(), ctx.Err()
	case failure.Len() > 0:
		return 0, nil, errors.New(failure.String())
	case errors.As(err, &exit):
		return exit.ExitCode(), buf.Bytes(), nil
	}
	return 0, buf.Bytes(), err
}

// limited keeps the begin of what is written.
type limited struct {
	bytes.Buffer
	max int
}

func (l *limited) Write(b []byte) (int, error) {
	l.Buffer.Write(b[:min(len(b), max(0, l.max-l.Len()))])
	return len(b), nil
}

// ExecInContainer is the subcommand ExecCommand: it enters the container's namespaces and runs the command. It returns the exit code.
func ExecInContainer() int {
	runtime.LockOSThread() // namespaces are of threads, and a child has those of the thread that starts it
	status := os.NewFile(statusFD, "status")
	unix.CloseOnExec(statusFD)
	spec, err := readSpec[execSpec]()
	if err == nil {
		err = enter(spec.PID)
	}
	if err != nil {
		fmt.Fprint(status, err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cmd := exec.CommandContext(ctx, spec.Args[0], spec.Args[1:]...)
	cmd.Env, cmd.Dir = spec.Env, "/"
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	groups := make([]uint32, len(spec.Groups))
	for i, g := range spec.Groups {
		groups[i] = uint32(g)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(spec.UID), Gid: uint32(spec.GID), Groups: groups}}
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode()
	case err != nil:
		fmt.Fprint(status, err)
		return 1
	}
	return 0
}

// enter moves the thread to the namespaces of a process.
func enter(pid int) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil { // a thread that shares its root with others cannot change it
		return err
	}
	var files []*os.File
	for _, ns := range []string{"pid", "net", "ipc", "uts", "mnt"} {
		f, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", pid, ns))
		if err != nil {
			return fmt.Errorf("the container does not run: %w", err)
		}
		defer f.Close()
		files = append(files, f)
	}
	for _, f := range files {
		if err := unix.Setns(int(f.Fd()), 0); err != nil {
			return fmt.Errorf("enter %s: %w", f.Name(), err)
		}
	}
	return nil
}
