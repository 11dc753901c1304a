package process

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// worker keeps a CPU busy for longer than the test takes, and ends by itself.
const worker = "i=0; while [ $i -lt 20000000 ]; do i=$((i+1)); done"

func TestWorkersAreMeasuredAndEnded(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sh -c '"+worker+"' & wait")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &Process{cmd: cmd, exited: make(chan error, 1)}
	go func() { p.exited <- cmd.Wait() }()
	time.Sleep(300 * time.Millisecond)
	all := descendants(cmd.Process.Pid)
	if len(all) != 2 {
		t.Fatalf("processes %v, want the shell and its worker", all)
	}
	if cpu, err := p.CPU(); err != nil || cpu < 50*time.Millisecond {
		t.Errorf("CPU time %v, %v: want that of the worker, too", cpu, err)
	}
	one, err := resident(cmd.Process.Pid)
	if n, err2 := p.Memory(); err != nil || err2 != nil || n <= one {
		t.Errorf("memory %d, %v; of the shell alone %d, %v", n, err2, one, err)
	}
	p.Stop()
	until := time.Now().Add(5 * time.Second)
	for running(all[1]) {
		if time.Now().After(until) {
			t.Fatal("the worker runs on")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// running tells whether a process is there and no zombie that nobody has waited for.
func running(pid int) bool {
	if unix.Kill(pid, 0) != nil {
		return false
	}
	n, _ := resident(pid) // a zombie has no memory
	return n > 0
}

func TestEnvironmentIsHandedOn(t *testing.T) {
	_, err := (&Program{Path: "sh", Args: []string{"-c", `test "$PEER" = yes && test -n "$PATH" && echo handed >&2`}, Env: []string{"PEER=yes"}}).
		Start(t.Context(), "127.0.0.1:1")
	if err == nil || !strings.Contains(err.Error(), "handed") {
		t.Errorf("%v: want the program's word that it got its environment", err)
	}
	if os.Getenv("PEER") != "" {
		t.Error("the environment of the benchmark itself was changed")
	}
}
