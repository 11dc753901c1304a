package rig

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Gateway is a nantian run process.
type Gateway struct {
	t testing.TB
	// Dir is its folder of configuration.
	Dir string
	// Admin is the base URL of its admin pages.
	Admin string
	// Messages is its standard error, Access its standard output: the access log.
	Messages, Access Output

	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Patience is how long a condition may take to hold: a machine that does much else is slow, and stalls for seconds.
const Patience = time.Minute

// Files are the configuration by the name of the file.
type Files map[string]string

// Start runs the binary with the files until the test ends, and waits until it is ready.
func Start(t testing.TB, files Files, args ...string) *Gateway {
	t.Helper()
	g := &Gateway{t: t, Dir: t.TempDir(), done: make(chan struct{})}
	for name, content := range files {
		g.Put(name, content)
	}
	g.cmd = exec.Command(Binary(t), append([]string{"run", "-f", g.Dir, "--admin", "127.0.0.1:0"}, args...)...)
	g.cmd.Stdout, g.cmd.Stderr = &g.Access, &g.Messages
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		g.err = g.cmd.Wait()
		close(g.done)
	}()
	t.Cleanup(g.end)
	g.awaitReady()
	return g
}

// end kills the process and shows its messages if the test failed.
func (g *Gateway) end() {
	g.cmd.Process.Kill()
	<-g.done
	if g.t.Failed() {
		g.t.Logf("messages of nantian run:\n%s", tail(g.Messages.String(), 4000))
	}
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

var adminAddress = regexp.MustCompile(`admin pages.*address=(http://\S+)`)

func (g *Gateway) awaitReady() {
	g.t.Helper()
	line := g.Messages.Line(0, Patience, "admin pages", "address=")
	found := adminAddress.FindStringSubmatch(line)
	if found == nil {
		g.t.Fatalf("no admin address:\n%s", g.Messages.String())
	}
	g.Admin = found[1]
	Eventually(g.t, Patience, "the gateway is ready", func() bool {
		resp, err := http.Get(g.Admin + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	})
}

// Eventually waits until a condition holds.
func Eventually(t testing.TB, wait time.Duration, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(wait); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", wait, what)
		}
	}
}

// Put writes a file of the configuration, as editors do: a new file takes the place of the old.
func (g *Gateway) Put(name, content string) {
	g.t.Helper()
	path := filepath.Join(g.Dir, name)
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		g.t.Fatal(err)
	}
}

// Signal sends a signal to the process.
func (g *Gateway) Signal(s syscall.Signal) {
	g.t.Helper()
	if err := g.cmd.Process.Signal(s); err != nil {
		g.t.Fatal(err)
	}
}

// Ended waits until the process has ended and gives its exit code.
func (g *Gateway) Ended(wait time.Duration) int {
	g.t.Helper()
	select {
	case <-g.done:
	case <-time.After(wait):
		g.t.Fatalf("the process has not ended within %v", wait)
	}
	return g.cmd.ProcessState.ExitCode()
}

// Page reads an admin page.
func (g *Gateway) Page(path string) string {
	g.t.Helper()
	resp, err := http.Get(g.Admin + path)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		g.t.Fatalf("%s: status %d, %v", path, resp.StatusCode, err)
	}
	return string(b)
}

// Metric adds up the series of a metric that have all the labels, written as name="value".
func (g *Gateway) Metric(name string, labels ...string) float64 {
	g.t.Helper()
	sum := 0.0
	for line := range strings.Lines(g.Page("/metrics")) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest == "" || rest[0] != '{' && rest[0] != ' ' || !holds(line, labels) {
			continue
		}
		var v float64
		if _, err := fmt.Sscan(rest[strings.LastIndexByte(rest, ' ')+1:], &v); err != nil {
			g.t.Fatalf("%q: %v", line, err)
		}
		sum += v
	}
	return sum
}

// Counted waits until a metric has a value: it is counted after the last byte of the answer. See Metric for the labels.
func (g *Gateway) Counted(want float64, name string, labels ...string) {
	g.t.Helper()
	var got float64
	for deadline := time.Now().Add(Patience); ; time.Sleep(5 * time.Millisecond) {
		if got = g.Metric(name, labels...); got == want {
			return
		}
		if got > want || time.Now().After(deadline) {
			g.t.Errorf("%s%v is %v, want %v", name, labels, got, want)
			return
		}
	}
}

// Lines waits until the access log has n lines, and fails if it has more.
func (g *Gateway) Lines(n int) {
	g.t.Helper()
	var got int
	Eventually(g.t, Patience, fmt.Sprint("lines of the access log: ", n), func() bool {
		got = strings.Count(g.Access.String(), "\n")
		return got >= n
	})
	if got != n {
		g.t.Errorf("%d lines of access log, want %d", got, n)
	}
}

// Entry is a line of the access log.
type Entry struct {
	Status         int     `json:"status"`
	Path           string  `json:"path"`
	Protocol       string  `json:"protocol"`
	Route          string  `json:"route"`
	Requested      string  `json:"requested_model"`
	Provider       string  `json:"provider"`
	Model          string  `json:"model"`
	Attempts       int     `json:"attempts"`
	Stream         bool    `json:"stream"`
	Input          int     `json:"input_tokens"`
	Cached         int     `json:"cached_input_tokens"`
	Output         int     `json:"output_tokens"`
	Reasoning      int     `json:"reasoning_tokens"`
	Estimated      bool    `json:"usage_estimated"`
	Finish         string  `json:"finish"`
	Aborted        bool    `json:"aborted"`
	Note           string  `json:"note"`
	FirstTokenMSec float64 `json:"first_token_ms"`
}

// Logged waits for the line of the access log that holds all the parts, for example "requested_model":"x".
func (g *Gateway) Logged(parts ...string) Entry {
	g.t.Helper()
	return g.LoggedAfter(0, parts...)
}

// LoggedAfter is Logged for what is written after the log had a length.
func (g *Gateway) LoggedAfter(from int, parts ...string) Entry {
	g.t.Helper()
	line := g.Access.Line(from, Patience, parts...)
	if line == "" {
		g.t.Fatalf("no line of the access log has %q:\n%s", parts, tail(g.Access.String(), 2000))
	}
	var e Entry
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		g.t.Fatalf("%q: %v", line, err)
	}
	return e
}
