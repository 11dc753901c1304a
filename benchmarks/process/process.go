// Package process starts the programs that are measured, and asks the operating system (Linux) what they use.
package process

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a program under measurement. It belongs to one goroutine.
type Process struct {
	cmd    *exec.Cmd
	exited chan error
	// stderr keeps what the program last complained of.
	stderr tail
}

// Program is what to start.
type Program struct {
	Path string
	Args []string
	// Env is added to the environment, as NAME=value.
	Env []string
	// Ready is how long it may take to accept connections; 0: 15 s.
	Ready time.Duration
}

// Start runs a program that needs nothing but its arguments.
func Start(ctx context.Context, addr, name string, args ...string) (*Process, error) {
	return (&Program{Path: name, Args: args}).Start(ctx, addr)
}

// Start runs the program and waits until it accepts connections at addr. The program dies with ctx, and with its parent.
func (g *Program) Start(ctx context.Context, addr string) (*Process, error) {
	p := &Process{cmd: exec.CommandContext(ctx, g.Path, g.Args...), exited: make(chan error, 1)}
	p.cmd.Stderr, p.cmd.Env = &p.stderr, append(os.Environ(), g.Env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.exited <- p.cmd.Wait() }()
	if err := p.await(ctx, addr, cmp.Or(g.Ready, ready)); err != nil {
		p.Stop()
		return nil, fmt.Errorf("%s: %w\n%s", g.Path, err, p.stderr.String())
	}
	return p, nil
}

// ready is how long most programs may take to accept connections.
const ready = 15 * time.Second

func (p *Process) await(ctx context.Context, addr string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		if c, err := net.Dial("tcp", addr); err == nil {
			return c.Close()
		}
		select {
		case err := <-p.exited:
			p.exited <- err
			return fmt.Errorf("ended before it accepted connections at %s: %v", addr, err)
		case <-ctx.Done():
			return fmt.Errorf("accepts no connections at %s: %w", addr, ctx.Err())
		case <-retry.C:
		}
	}
}

// Stop ends the program: it may end well for 3 s, and what it has started is ended with it. A nil Process is one that never began.
func (p *Process) Stop() {
	if p == nil {
		return
	}
	children := descendants(p.cmd.Process.Pid)[1:]
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(3 * time.Second):
		p.cmd.Process.Kill()
		<-p.exited
	}
	for _, pid := range children {
		unix.Kill(pid, unix.SIGKILL)
	}
}

// tail keeps the end of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if n := len(t.b) - 4<<10; n > 0 {
		t.b = append(t.b[:0], t.b[n:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.b) }

// FreePort finds a port of 127.0.0.1 that nobody listens on.
func FreePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}
