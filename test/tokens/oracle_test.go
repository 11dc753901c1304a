package tokens

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// install returns a folder outside the tree with oracle.mjs, and what the lock file asks for in its node_modules.
func install(t *testing.T) string {
	t.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	lock := read(t, "package-lock.json")
	sum := sha256.Sum256(lock)
	dir := filepath.Join(base, "nantian", "tokens-"+hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(filepath.Join(dir, "complete")); err != nil {
		write(t, filepath.Join(dir, "package.json"), read(t, "package.json"))
		write(t, filepath.Join(dir, "package-lock.json"), lock)
		cmd := exec.Command("npm", "ci", "--no-fund", "--no-audit", "--ignore-scripts")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("npm ci in %s: %v\n%s", dir, err, out)
		}
		write(t, filepath.Join(dir, "complete"), nil)
	}
	// Modules are looked for beside the program.
	at := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, "node_modules"), filepath.Join(at, "node_modules")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(at, "oracle.mjs"), read(t, "oracle.mjs"))
	return at
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// An oracle is a process that counts in one encoding.
type oracle struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	buf []byte
}

func startOracle(t *testing.T, dir, encoding string) *oracle {
	t.Helper()
	o := &oracle{cmd: exec.CommandContext(t.Context(), "node", filepath.Join(dir, "oracle.mjs"), encoding)}
	o.cmd.Stderr = os.Stderr
	var err error
	if o.in, err = o.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := o.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	o.out = bufio.NewReader(out)
	if err := o.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return o
}

// send hands texts over. A byte that is not part of a valid UTF-8 sequence is U+FFFD by then, which it counts as.
func (o *oracle) send(t *testing.T, texts []string) {
	t.Helper()
	o.buf = append(o.buf[:0], 0, 0, 0, 0)
	for _, s := range texts {
		s = string([]rune(s))
		o.buf = append(binary.LittleEndian.AppendUint32(o.buf, uint32(len(s))), s...)
	}
	binary.LittleEndian.PutUint32(o.buf, uint32(len(o.buf)-4))
	if _, err := o.in.Write(o.buf); err != nil {
		t.Fatalf("oracle: %v", err)
	}
}

// receive returns the counts of the n texts that were sent last.
func (o *oracle) receive(t *testing.T, n int) []int {
	t.Helper()
	b := make([]byte, 4*n)
	if _, err := io.ReadFull(o.out, b); err != nil {
		t.Fatalf("oracle: %v", err)
	}
	counts := make([]int, n)
	for i := range counts {
		counts[i] = int(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return counts
}

func (o *oracle) close(t *testing.T) {
	t.Helper()
	o.in.Close()
	if err := o.cmd.Wait(); err != nil {
		t.Errorf("oracle: %v", err)
	}
}
