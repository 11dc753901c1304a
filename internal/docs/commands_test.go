package docs

import (
	"context"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCommands runs the sh blocks of every page in order, in a folder that looks like a checkout, and compares what they
// print with the output block that follows. In that, "..." stands for any text, and alone on a line for any lines.
func TestCommands(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("curl is needed (make deps installs it): ", err)
	}
	for _, p := range pages(t) {
		if !strings.Contains(p.text, "```sh\n") || p.name == "CONTRIBUTING.md" {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(p.name), ".md"), func(t *testing.T) { newShell(t, p.text).page(p) })
	}
}

// shell runs the commands of one page.
type shell struct {
	*testing.T
	folder string
	// ports are free ones that stand for those of the page.
	ports map[string]string
	// serving are the programs that were started and still run, by the word that stands for them.
	serving map[string]*exec.Cmd
	// output is the file that the program of the last block writes to; empty where that block ended.
	output string
	env    []string
}

// known are the ports that pages and examples use.
var known = regexp.MustCompile(`\b(8080|8443|9100|3000|3001|15000)\b`)

func newShell(t *testing.T, page string) *shell {
	s := &shell{T: t, folder: t.TempDir(), ports: map[string]string{}, serving: map[string]*exec.Cmd{}}
	for _, port := range []string{"8080", "8443", "9100", "3000", "3001", "15000"} {
		s.ports[port] = freePort(t, page, s.ports)
	}
	s.must(os.Symlink(programs, filepath.Join(s.folder, "bin")))
	s.copy("Makefile")
	s.must(os.CopyFS(filepath.Join(s.folder, "examples"), os.DirFS(root+"/examples")))
	for _, pattern := range []string{"examples/*/*.yaml", "Makefile"} {
		files, _ := filepath.Glob(filepath.Join(s.folder, pattern))
		for _, f := range files {
			text, err := os.ReadFile(f)
			s.must(err)
			s.must(os.WriteFile(f, []byte(s.toFree(string(text))), 0o644))
		}
	}
	for _, v := range os.Environ() {
		if !strings.Contains(v, "_API_KEY=") {
			s.env = append(s.env, v)
		}
	}
	t.Cleanup(func() {
		for name := range s.serving {
			s.stop(name)
		}
	})
	return s
}

func (s *shell) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *shell) copy(name string) {
	text, err := os.ReadFile(filepath.Join(root, name))
	s.must(err)
	s.must(os.WriteFile(filepath.Join(s.folder, name), text, 0o644))
}

// freePort finds a port below those that systems give to outgoing connections, that is not taken already, and that the page has
// not as a number of something else (a limit of 20000 tokens), which fromFree would take for the port.
func freePort(t *testing.T, page string, taken map[string]string) string {
	for range 100 {
		port := strconv.Itoa(20000 + rand.IntN(12000))
		if strings.Contains(page, port) || slices.Contains(slices.Collect(maps.Values(taken)), port) {
			continue
		}
		if ln, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			ln.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return ""
}

// toFree replaces the ports of the page, and gives the gateway an admin port of its own.
func (s *shell) toFree(text string) string {
	text = known.ReplaceAllStringFunc(text, func(p string) string { return s.ports[p] })
	text = strings.ReplaceAll(text, "bin/nantian run ", "bin/nantian run --admin 127.0.0.1:"+s.ports["15000"]+" ")
	text = strings.ReplaceAll(text, "go run ./examples/echo", "bin/echo")
	text = strings.ReplaceAll(text, "go run ./examples/grpc", "bin/grpc")
	text = strings.ReplaceAll(text, "make run", "make -o build run")
	return strings.ReplaceAll(text, "make build", "true")
}

// fromFree writes the ports of the page in place of the free ones.
func (s *shell) fromFree(text string) string {
	for of, port := range s.ports {
		text = regexp.MustCompile(`\b`+port+`\b`).ReplaceAllString(text, of)
	}
	return strings.ReplaceAll(text, "\r", "")
}

func (s *shell) page(p *page) {
	out, ran := "", false
	for _, f := range p.fences {
		switch f.lang {
		case "sh":
			out, ran = s.run(f.text), true
		case "output":
			if !ran {
				s.Errorf("an output block has no sh block before it:\n%s", f.text)
			}
			for end := time.Now().Add(time.Minute); s.output != "" && !matches(f.text, out) && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
				out = s.printed() // a program that goes on may have more to say
			}
			if !matches(f.text, out) {
				s.Errorf("the page says\n%s\nbut the command prints\n%s", f.text, out)
			}
		}
	}
}

var server = regexp.MustCompile(`(?m)^(?:make run|bin/nantian run|bin/nantian simulate|go run \./examples/echo|go run \./examples/grpc -listen).*\z`)

// run runs a block. One whose last command serves goes on in the background, and takes the place of the one before it of its
// kind.
func (s *shell) run(block string) (output string) {
	block, s.output = strings.TrimSpace(block), ""
	last := server.FindString(strings.ReplaceAll(block, "\\\n", " "))
	if last != "" {
		return s.serve(block, last)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := s.command(ctx, block)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.Errorf("%s\n%v\n%s", block, err, out)
	}
	return s.fromFree(string(out))
}

func (s *shell) command(ctx context.Context, block string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", s.toFree(block))
	cmd.Dir, cmd.Env = s.folder, s.env
	return cmd
}

func (s *shell) serve(block, last string) (output string) {
	name := "gateway"
	if !strings.Contains(last, " run -f") && last != "make run" {
		name = last
	}
	s.stop(name)
	file := filepath.Join(s.T.TempDir(), "output")
	out, err := os.Create(file)
	s.must(err)
	defer out.Close()
	cmd := s.command(context.Background(), block)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.must(cmd.Start())
	s.serving[name] = cmd
	s.awaitReady(name, last, file)
	s.output = file
	return s.printed()
}

// printed is what the program of the last block has printed up to now.
func (s *shell) printed() string {
	text, err := os.ReadFile(s.output)
	s.must(err)
	return s.fromFree(string(text))
}

// stop ends a program and what it started.
func (s *shell) stop(name string) {
	if cmd := s.serving[name]; cmd != nil {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		cmd.Wait()
		delete(s.serving, name)
	}
}

// awaitReady waits until a program answers.
func (s *shell) awaitReady(name, command, output string) {
	s.Helper()
	ready := func() bool {
		resp, err := http.Get("http://127.0.0.1:" + s.ports["15000"] + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	}
	if name != "gateway" {
		port := s.ports["3000"]
		if m := known.FindString(command); m != "" {
			port = s.ports[m]
		}
		ready = func() bool {
			c, err := net.Dial("tcp", "127.0.0.1:"+port)
			if err == nil {
				c.Close()
			}
			return err == nil
		}
	}
	for range 1200 {
		if ready() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	text, _ := os.ReadFile(output)
	s.Fatalf("%s does not get ready:\n%s", command, text)
}

// matches compares output with what a page says.
func matches(want, have string) bool {
	var re strings.Builder
	re.WriteString(`(?s)^`)
	for line := range strings.Lines(want) {
		line = strings.TrimRight(line, "\n ")
		if line == "..." {
			re.WriteString(`(?:.*\n)?`)
			continue
		}
		for i, part := range strings.Split(line, "...") {
			if i > 0 {
				re.WriteString(`[^\n]*`)
			}
			re.WriteString(regexp.QuoteMeta(part))
		}
		re.WriteString(` *\n`)
	}
	re.WriteString(`$`)
	return regexp.MustCompile(re.String()).MatchString(strings.TrimRight(have, "\n") + "\n")
}
