package cluster_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nantian-gw/nantian/test/cluster"
)

var crds = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

func TestTwoClustersAtOnce(t *testing.T) {
	c := cluster.New(t, cluster.Options{Images: images(), GatewayAPI: cluster.Standard, CRDs: []string{"../../crds"}})
	if c.Balancers() == shared.Balancers() || c.Kubeconfig == shared.Kubeconfig {
		t.Fatal("both have the same addresses or files")
	}
	for _, name := range []string{"gateways.gateway.networking.k8s.io", "aiproviders.gateway.nantian.dev"} {
		if _, err := c.Dynamic().Resource(crds).Get(within(t), name, metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	}
	channel := func(c *cluster.Cluster, want string) {
		t.Helper()
		crd, err := c.Dynamic().Resource(crds).Get(within(t), "httproutes.gateway.networking.k8s.io", metav1.GetOptions{})
		if err != nil || crd.GetAnnotations()["gateway.networking.k8s.io/channel"] != want {
			t.Errorf("channel: %v, want %s, %v", crd.GetAnnotations(), want, err)
		}
	}
	channel(c, "standard")
	channel(shared, "experimental")
	const pod = `
apiVersion: v1
kind: Pod
metadata: {name: NAME, namespace: default}
spec:
  containers: [{name: c, image: example.com/pod}]
`
	var ips []string
	for _, x := range []struct {
		c    *cluster.Cluster
		name string
	}{{shared, "a"}, {c, "b"}} {
		text := strings.ReplaceAll(pod, "NAME", x.name)
		apply(t, x.c, "default", text)
		p := ready(t, x.c, "default", x.name)
		expect(t, "http://"+p.Status.PodIP+":8080/", x.name)
		ips = append(ips, p.Status.PodIP)
		if err := x.c.Delete(within(t), text); err != nil {
			t.Error(err)
		}
	}
	if ips[0] == ips[1] {
		t.Errorf("both pods have address %s", ips[0])
	}
}

func TestTrafficOutlivesTheAPIServer(t *testing.T) {
	c := cluster.New(t, cluster.Options{Images: images()})
	apply(t, c, "default", web)
	if err := c.WaitAvailable(within(t), "default", "web"); err != nil {
		t.Fatal(err)
	}
	svc, err := c.Client().CoreV1().Services("default").Get(within(t), "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		_, err := ask(ctx, "http://"+svc.Spec.ClusterIP+"/")
		return err
	})
	if err := c.StopAPIServer(within(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Client().CoreV1().Nodes().List(within(t), metav1.ListOptions{}); err == nil {
		t.Error("the API server answers")
	}
	for range 20 {
		if _, err := ask(within(t), "http://"+svc.Spec.ClusterIP+"/"); err != nil {
			t.Error(err)
		}
	}
	if err := c.StartAPIServer(within(t)); err != nil {
		t.Fatal(err)
	}
	apply(t, c, "default", strings.ReplaceAll(web, "replicas: 2", "replicas: 3"))
	if err := c.WaitAvailable(within(t), "default", "web"); err != nil {
		t.Fatal(err)
	}
}

func TestACrashIsRestartedAndAnImageIsReplaced(t *testing.T) {
	c := cluster.New(t, cluster.Options{Images: images()})
	apply(t, c, "default", `
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: default}
spec:
  containers: [{name: c, image: example.com/pod}]
`)
	ready(t, c, "default", "p")
	other := filepath.Join(t.TempDir(), "other")
	b, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, b, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := c.SetImage(within(t), "example.com/pod", other); err != nil {
		t.Fatal(err)
	}
	if err := c.Signal(within(t), "default", "p", "", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p := awaitPod(t, c, "default", "p", "restarted", func(p *corev1.Pod) bool { return p.Status.ContainerStatuses[0].RestartCount == 1 && isReady(p) })
	s := p.Status.ContainerStatuses[0]
	if s.LastTerminationState.Terminated.ExitCode != 137 || s.ImageID != other {
		t.Errorf("status: %+v", s)
	}
	if err := c.SetImage(within(t), "shell", "/bin/sh"); err == nil || !strings.Contains(err.Error(), "static") {
		t.Errorf("a program that is linked dynamically: %v", err)
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "cluster")
	if out, err := exec.Command("go", "build", "-o", binary, "./cmd/cluster").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			cmd := exec.Command(binary, "up", "-gateway-api=none", "-image", "pod="+program)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stderr = os.Stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			dir := kubeconfigDir(t, bufio.NewScanner(out))
			runPod(t, filepath.Join(dir, "kubeconfig"))
			if len(processesOf(t, dir)) < 3 {
				t.Fatalf("processes of %s: %v", dir, processesOf(t, dir))
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); (err == nil) != (sig == syscall.SIGINT) {
				t.Errorf("it ended with %v", err)
			}
			link := "/sys/class/net/nantian" + filepath.Base(dir)
			eventually(t, func(context.Context) error {
				if left := processesOf(t, dir); len(left) > 0 {
					return fmt.Errorf("processes are left: %v", left)
				}
				if _, err := os.Stat(link); err == nil {
					return fmt.Errorf("%s is left", link)
				}
				return nil
			})
			if sig == syscall.SIGKILL { // nobody was left to remove the files: the next cluster does
				if err := cluster.New(t, cluster.Options{}).Stop(); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range []string{dir, dir + ".lock"} {
				if _, err := os.Stat(name); err == nil {
					t.Errorf("%s is left", name)
				}
			}
		})
	}
}

// kubeconfigDir reads the directory from what "cluster up" prints.
func kubeconfigDir(t *testing.T, lines *bufio.Scanner) string {
	t.Helper()
	for lines.Scan() {
		if m := regexp.MustCompile(`KUBECONFIG=(.*)/kubeconfig$`).FindStringSubmatch(lines.Text()); m != nil {
			return m[1]
		}
	}
	t.Fatal("no KUBECONFIG is printed")
	return ""
}

// runPod runs a pod with kubectl's kubeconfig, so that there is something to be left.
func runPod(t *testing.T, kubeconfig string) {
	t.Helper()
	c, err := clientFor(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "pod"}}},
	}
	if _, err := c.CoreV1().Pods("default").Create(within(t), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		p, err := c.CoreV1().Pods("default").Get(ctx, "p", metav1.GetOptions{})
		if err == nil && !isReady(p) {
			err = fmt.Errorf("not ready: %+v", p.Status)
		}
		return err
	})
}

// processesOf are the processes whose network is that of the cluster, or that name its directory.
func processesOf(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range files {
		b, _ := os.ReadFile(f) // it may have ended
		mounts, _ := os.ReadFile(filepath.Join(filepath.Dir(f), "mounts"))
		if strings.Contains(string(b), dir+"/") || strings.Contains(string(mounts), " "+dir+"/memory ") || strings.HasPrefix(string(b), "/pod\x00") {
			out = append(out, strings.ReplaceAll(string(b), "\x00", " "))
		}
	}
	return out
}
