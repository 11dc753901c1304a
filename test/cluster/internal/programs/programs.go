// Package programs builds what a cluster runs from Go modules, and keeps it in the user's cache directory by version.
package programs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"sigs.k8s.io/gateway-api/pkg/consts"

	"github.com/nantian-gw/nantian/test/cluster/internal/plan"
)

const (
	module      = "github.com/nantian-gw/nantian/test/cluster"
	etcdPackage = "go.etcd.io/etcd/server/v3"
	kubePackage = "k8s.io/kubernetes/cmd/"
)

// Set is where the programs are.
type Set struct {
	plan.Programs
	// Machine is the cluster's own process.
	Machine string
}

// Get builds what is not built yet, and says so on out: the programs of Kubernetes take ten minutes on two cores. Several
// processes may call it at once.
func Get(ctx context.Context, out io.Writer) (*Set, error) {
	dir, err := moduleDir(ctx)
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("cache of programs: %w", err)
	}
	cache = filepath.Join(cache, "nantian", "cluster")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lock(filepath.Join(cache, "lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	plane, err := planePrograms(ctx, filepath.Join(dir, "kube"), cache, out)
	if err != nil {
		return nil, err
	}
	machine := filepath.Join(cache, "machine-"+hash(dir)) // one for each checkout: others may be of another version
	// Built as this process was, so that what both consist of is compiled once.
	if err := runBuild(ctx, dir, nil, out, "build", "-ldflags=-s -w", "-o", machine, "./cmd/cluster"); err != nil {
		return nil, err
	}
	return &Set{Programs: *plane, Machine: machine}, nil
}

// moduleDir is where the sources of this module are, whichever module's directory this process runs in.
func moduleDir(ctx context.Context) (string, error) {
	out, err := goCommand(ctx, "", "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return "", fmt.Errorf("find module %s: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// GatewayAPI is the directory of the Gateway API's module, in the version that this module requires.
func GatewayAPI(ctx context.Context) (string, error) {
	dir, err := moduleDir(ctx)
	if err != nil {
		return "", err
	}
	out, err := goCommand(ctx, dir, "mod", "download", "-json", "sigs.k8s.io/gateway-api@"+consts.BundleVersion)
	if err != nil {
		return "", err
	}
	var m struct{ Dir string }
	if err := json.Unmarshal(out, &m); err != nil {
		return "", fmt.Errorf("go mod download: %w", err)
	}
	return m.Dir, nil
}

// planePrograms builds the control plane's programs, if those of this version are not in the cache.
func planePrograms(ctx context.Context, src, cache string, out io.Writer) (*plan.Programs, error) {
	key, err := version(src)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, key)
	p := &plan.Programs{
		Etcd: filepath.Join(dir, "etcd"), APIServer: filepath.Join(dir, "kube-apiserver"), ControllerManager: filepath.Join(dir, "kube-controller-manager"),
	}
	if _, err := os.Stat(dir); err == nil {
		return p, nil
	}
	fmt.Fprintf(out, "building etcd, kube-apiserver and kube-controller-manager into %s: about ten minutes on two cores\n", dir)
	tmp, err := os.MkdirTemp(cache, "build-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	kube, err := goCommand(ctx, src, "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes")
	if err != nil {
		return nil, err
	}
	if err := build(ctx, src, out, "-ldflags=-s -w", "-o", filepath.Join(tmp, "etcd"), etcdPackage); err != nil {
		return nil, err
	}
	flags := kubeFlags(strings.TrimSpace(string(kube)))
	if err := build(ctx, src, out, flags, "-o", tmp+"/", kubePackage+"kube-apiserver", kubePackage+"kube-controller-manager"); err != nil {
		return nil, err
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return nil, err
	}
	return p, os.Rename(tmp, dir)
}

// version is a name for all that the programs depend on.
func version(src string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOARCH, kubeFlags(""))
	for _, name := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join(src, name))
		if err != nil {
			return "", err
		}
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

func hash(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])[:16]
}

// kubeFlags tell the programs of Kubernetes their version, as its own build does: clients ask for it.
func kubeFlags(version string) string {
	const pkg = "k8s.io/component-base/version."
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	flags := "-s -w -X " + pkg + "gitVersion=" + version
	if len(parts) == 3 {
		flags += " -X " + pkg + "gitMajor=" + parts[0] + " -X " + pkg + "gitMinor=" + parts[1]
	}
	return "-ldflags=" + flags
}

// build builds static programs, with at most two packages at once: those of Kubernetes need 3 GB with two.
func build(ctx context.Context, dir string, out io.Writer, args ...string) error {
	all := append([]string{"build", "-p=2", "-trimpath", "-buildvcs=false"}, args...)
	return runBuild(ctx, dir, []string{"CGO_ENABLED=0", "GOWORK=off", "GOFLAGS="}, out, all...)
}

func runBuild(ctx context.Context, dir string, env []string, out io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, io.MultiWriter(out, &log)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, log.Bytes())
	}
	return nil
}

func goCommand(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, exit.Stderr)
	}
	return out, err
}

// lock waits for the lock of a file.
func lock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}
