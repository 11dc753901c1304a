package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a container that runs, or has run.
type Process struct {
	cmd     *exec.Cmd
	started time.Time
	done    chan struct{}
	code    int
	signal  int
	ended   time.Time
}

// Start runs a container. Its output goes to out, until all that it started has ended.
func Start(spec *Spec, net *os.File, out io.Writer) (*Process, error) {
	cmd := exec.Command("/proc/self/exe", ContainerCommand)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS, Setsid: true,
	}
	copied, err := output(cmd, spec, out)
	if err != nil {
		return nil, err
	}
	status, err := startWith(cmd, spec, net)
	_ = cmd.Stdout.(*os.File).Close()
	if err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, started: time.Now(), done: make(chan struct{})}
	failure, _ := io.ReadAll(status)
	_ = status.Close()
	go p.wait(copied)
	if len(failure) > 0 {
		<-p.done
		return nil, errors.New(string(failure))
	}
	return p, nil
}

// output gives the command a pipe that its user may open again as /dev/stdout, and copies from it; the channel is closed at its end.
func output(cmd *exec.Cmd, spec *Spec, out io.Writer) (<-chan struct{}, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	if err := w.Chown(spec.UID, spec.GID); err != nil {
		return nil, errors.Join(err, r.Close(), w.Close())
	}
	cmd.Stdout, cmd.Stderr = w, w
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		defer r.Close()
		_, _ = io.Copy(out, r)
	}()
	return copied, nil
}

// startWith starts the command and hands it the specification; what is then read from the pipe is why it failed.
func startWith(cmd *exec.Cmd, spec any, extra ...*os.File) (*os.File, error) {
	specR, specW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer specR.Close()
	statusR, statusW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, specW.Close())
	}
	defer statusW.Close()
	cmd.ExtraFiles = append([]*os.File{specR, statusW}, extra...)
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, specW.Close(), statusR.Close())
	}
	err = json.NewEncoder(specW).Encode(spec)
	if err := errors.Join(err, specW.Close()); err != nil {
		_ = cmd.Process.Kill()
		return nil, errors.Join(fmt.Errorf("specification: %w", err), cmd.Wait(), statusR.Close())
	}
	return statusR, nil
}

func (p *Process) wait(copied <-chan struct{}) {
	_ = p.cmd.Wait()
	<-copied
	ws := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	p.code, p.ended = ws.ExitStatus(), time.Now()
	if ws.Signaled() {
		p.signal = int(ws.Signal())
		p.code = 128 + p.signal
	}
	close(p.done)
}

// PID is the process's number on the node.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Started is when the program was started.
func (p *Process) Started() time.Time { return p.started }

// Done is closed when the process and all that it started have ended and their output is read.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit says how the process ended: its code (128 and the signal, if one ended it), the signal or 0, and when. It is for after Done.
func (p *Process) Exit() (code, signal int, at time.Time) { return p.code, p.signal, p.ended }

// Signal sends a signal to the container's process 1, which SIGKILL ends with all others.
func (p *Process) Signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}
