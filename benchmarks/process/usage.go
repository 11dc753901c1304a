package process

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPU is the time that all threads of the program and of its workers, ended threads too, have spent in user and system mode, to the
// nanosecond. The time of a worker that has ended is lost: peers are set up so that theirs stay.
func (p *Process) CPU() (total time.Duration, err error) {
	for i, pid := range descendants(p.cmd.Process.Pid) {
		var t unix.Timespec
		// The clock of another process, as clock_getcpuclockid(3) makes it.
		const schedClock = 2
		if err := unix.ClockGettime(int32(^pid<<3|schedClock), &t); err != nil && i == 0 {
			return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
		}
		total += time.Duration(t.Nano())
	}
	return total, nil
}

// Memory is the resident memory of the program and its workers in bytes. What they share counts for each of them.
func (p *Process) Memory() (total int64, err error) {
	for i, pid := range descendants(p.cmd.Process.Pid) {
		n, err := resident(pid)
		if err != nil && (i == 0 || !errors.Is(err, fs.ErrNotExist)) {
			return 0, err
		}
		total += n
	}
	return total, nil
}

func resident(pid int) (int64, error) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if value, ok := strings.CutPrefix(s.Text(), "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("no VmRSS in " + f.Name())
}

// descendants are a process and all that it has started, itself first. Each thread lists its own children (proc(5)).
func descendants(pid int) []int {
	out := []int{pid}
	for i := 0; i < len(out); i++ {
		lists, _ := filepath.Glob("/proc/" + strconv.Itoa(out[i]) + "/task/*/children")
		for _, name := range lists {
			text, _ := os.ReadFile(name) // a thread may have ended since
			for _, child := range strings.Fields(string(text)) {
				if n, err := strconv.Atoi(child); err == nil {
					out = append(out, n)
				}
			}
		}
	}
	return out
}
