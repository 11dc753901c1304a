package plane

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// stopTimeout is how long a program may take to end after SIGTERM.
const stopTimeout = 10 * time.Second

// program is one program of the control plane, which can be stopped and started again. Its output goes to a file.
type program struct {
	name, path string
	args       []string
	log        string

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process that runs has ended
	wanted bool          // the end of a process that is wanted is an error
	err    error         // how the process ended
}

func newProgram(name, path string, args []string, logs string) *program {
	return &program{name: name, path: path, args: args, log: filepath.Join(logs, name+".log")}
}

func (p *program) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanted {
		return fmt.Errorf("%s runs already", p.name)
	}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(p.path, p.args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	p.cmd, p.exited, p.wanted = cmd, make(chan struct{}), true
	go p.wait(cmd, p.exited)
	return nil
}

func (p *program) wait(cmd *exec.Cmd, exited chan struct{}) {
	err := cmd.Wait()
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
	close(exited)
}

// stop ends the process and returns when it has ended.
func (p *program) stop() {
	p.mu.Lock()
	cmd, exited := p.cmd, p.exited
	running := p.wanted
	p.wanted = false
	p.mu.Unlock()
	if !running {
		return
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-exited:
	case <-time.After(stopTimeout):
		_ = cmd.Process.Kill()
		<-exited
	}
}

// ended is an error if the process has ended although it should run. The error has the end of the log.
func (p *program) ended() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.wanted {
		return nil
	}
	select {
	case <-p.exited:
		return fmt.Errorf("%s ended: %v; the end of %s:\n%s", p.name, p.err, p.log, tail(p.log, 2000))
	default:
		return nil
	}
}

// tail is the end of a file, at most n bytes.
func tail(file string, n int) []byte {
	b, err := os.ReadFile(file)
	if err != nil {
		return []byte(err.Error())
	}
	return b[max(0, len(b)-n):]
}
