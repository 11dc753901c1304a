package node

import (
	"context"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nantian-gw/nantian/test/cluster/internal/logs"
	"github.com/nantian-gw/nantian/test/cluster/internal/probe"
	"github.com/nantian-gw/nantian/test/cluster/internal/process"
)

// Delays between restarts: those of kubelets with the feature gate ReduceDefaultCrashLoopBackOffDecay, with which tests need not wait
// for the usual ten seconds. A container that ran for ten minutes begins anew.
const (
	firstBackoff = time.Second
	maxBackoff   = time.Minute
	resetBackoff = 10 * time.Minute
)

// container is one container of a pod, over all its restarts.
type container struct {
	pod  *pod
	spec *corev1.Container
	once bool // an init container, which runs until it succeeds

	ready1 chan struct{} // closed when it has started for the first time
	first  sync.Once

	mu          sync.Mutex
	state, last corev1.ContainerState
	ready       bool
	started     bool
	restarts    int32
	program     string
	proc        *process.Process
	procSpec    *process.Spec
	log, old    *logs.Log
	reason      string // why it was killed
}

func newContainer(x *pod, c *corev1.Container, once bool) *container {
	return &container{pod: x, spec: c, once: once, ready1: make(chan struct{}), state: waiting("PodInitializing", "")}
}

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

// run starts the container again and again, as the restart policy says, until life ends. It reports whether the last run succeeded.
func (c *container) run(life context.Context) bool {
	backoff := firstBackoff
	for life.Err() == nil {
		began := time.Now()
		code, started := c.runOnce(life)
		if started && !c.again(code) {
			return code == 0
		}
		if life.Err() != nil {
			break
		}
		if time.Since(began) > resetBackoff {
			backoff = firstBackoff
		}
		if started {
			c.set(waiting("CrashLoopBackOff", fmt.Sprintf("back-off %s restarting failed container", backoff)))
			c.pod.node.events.Eventf(c.pod.current(), corev1.EventTypeWarning, "BackOff", "Back-off restarting container %s", c.spec.Name)
		}
		select {
		case <-life.Done():
			c.restore()
			return false
		case <-time.After(backoff):
			backoff = min(2*backoff, maxBackoff)
		}
		if started {
			c.mu.Lock()
			c.restarts++
			c.mu.Unlock()
		}
	}
	return false
}

// again reports whether a container that ended with the code is started again.
func (c *container) again(code int) bool {
	policy := c.pod.current().Spec.RestartPolicy
	if c.once {
		return code != 0 && policy != corev1.RestartPolicyNever
	}
	if c.spec.RestartPolicy != nil { // a sidecar
		policy = corev1.RestartPolicy(*c.spec.RestartPolicy)
	}
	return policy == corev1.RestartPolicyAlways || policy == corev1.RestartPolicyOnFailure && code != 0
}

// runOnce runs the container once, with its probes. It is not started if something that it needs is missing.
func (c *container) runOnce(life context.Context) (code int, started bool) {
	reason, err := c.start()
	if err != nil {
		c.set(waiting(reason, err.Error()))
		c.pod.node.events.Eventf(c.pod.current(), corev1.EventTypeWarning, "Failed", "Error: %v", err)
		return 0, false
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var probes sync.WaitGroup
	probes.Go(func() { c.probe(ctx, life) })
	select {
	case <-c.proc.Done():
	case <-life.Done():
		c.stop(c.proc, c.pod.grace())
	}
	<-c.proc.Done()
	stop()
	probes.Wait()
	return c.exited(), true
}

// start makes the process. The reason is that of a container that waits.
func (c *container) start() (reason string, err error) {
	program, err := c.pod.node.images.program(c.spec.Image)
	if err != nil {
		return "ErrImagePull", err
	}
	p := c.pod.current()
	spec, err := c.makeSpec(p, program)
	if err != nil {
		return "CreateContainerConfigError", err
	}
	log := c.pod.node.newLog(p, c.spec.Name)
	proc, err := process.Start(spec, c.pod.net.File(), log)
	if err != nil {
		log.Close()
		return "RunContainerError", err
	}
	c.mu.Lock()
	c.proc, c.procSpec, c.program, c.reason = proc, spec, program, ""
	c.old, c.log = c.log, log
	c.state = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(proc.Started())}}
	c.mu.Unlock()
	c.pod.changed()
	if err := c.hook(c.pod.life, proc, postStart(c.spec)); err != nil {
		c.kill("postStart hook: " + err.Error())
	}
	return "", nil
}

// probe runs the probes of a container that runs: first the one of its start, then the others. When the pod is to end, only
// readiness goes on being looked at.
func (c *container) probe(ctx, life context.Context) {
	alive, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(life, cancel)()
	t := c.target(c.proc)
	if c.spec.StartupProbe != nil {
		if !c.awaitStartup(alive, t) {
			return
		}
	}
	c.setStarted()
	var probes sync.WaitGroup
	if p := c.spec.LivenessProbe; p != nil {
		probes.Go(func() {
			probe.Watch(alive, p, t, func(ok bool, why error) {
				if !ok {
					c.unhealthy("Liveness", why)
					c.kill("liveness probe failed: " + why.Error())
				}
			})
		})
	}
	if p := c.spec.ReadinessProbe; p != nil {
		probes.Go(func() {
			probe.Watch(ctx, p, t, func(ok bool, why error) {
				if !ok {
					c.unhealthy("Readiness", why)
				}
				c.setReady(ok)
			})
		})
	} else {
		c.setReady(true)
	}
	probes.Wait()
	<-ctx.Done()
}

// awaitStartup reports whether the startup probe succeeded. If it fails, the container is killed.
func (c *container) awaitStartup(ctx context.Context, t *probe.Target) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	started := false
	probe.Watch(ctx, c.spec.StartupProbe, t, func(ok bool, why error) {
		if started = ok; !ok {
			c.unhealthy("Startup", why)
			c.kill("startup probe failed: " + why.Error())
		}
		cancel()
	})
	return started
}

func (c *container) unhealthy(kind string, why error) {
	c.pod.node.events.Eventf(c.pod.current(), corev1.EventTypeWarning, "Unhealthy", "%s probe failed: %v", kind, why)
}

// target is the process for probes and hooks.
func (c *container) target(proc *process.Process) *probe.Target {
	c.mu.Lock()
	spec, program := c.procSpec, c.program
	c.mu.Unlock()
	return &probe.Target{PodIP: c.pod.net.Addr().String(), Ports: c.spec.Ports, Exec: func(ctx context.Context, command []string) error {
		args := append([]string(nil), command...)
		if path, err := resolve(program, args[0]); err == nil {
			args[0] = path
		}
		code, out, err := proc.Exec(ctx, spec, args)
		if err == nil && code != 0 {
			err = fmt.Errorf("exit code %d: %s", code, out)
		}
		return err
	}}
}

// kill stops the container, to be started again.
func (c *container) kill(reason string) {
	c.mu.Lock()
	c.reason = reason
	proc := c.proc
	c.mu.Unlock()
	c.pod.node.events.Eventf(c.pod.current(), corev1.EventTypeNormal, "Killing", "Container %s: %s", c.spec.Name, reason)
	go c.stop(proc, c.pod.grace())
}

// stop ends the process: the hook before it and SIGTERM share the time of grace, then SIGKILL.
func (c *container) stop(proc *process.Process, grace time.Duration) {
	ctx, cancel := context.WithTimeout(c.pod.now, grace)
	defer cancel()
	_ = c.hook(ctx, proc, preStop(c.spec)) // a hook that fails does not keep a container from ending
	if ctx.Err() == nil {
		_ = proc.Signal(syscall.SIGTERM)
	}
	select {
	case <-proc.Done():
		return
	case <-ctx.Done():
	}
	_ = proc.Signal(syscall.SIGKILL)
	<-proc.Done()
}

// exited takes over how the process ended.
func (c *container) exited() int {
	c.mu.Lock()
	code, sig, at := c.proc.Exit()
	reason := "Error"
	if code == 0 {
		reason = "Completed"
	}
	c.log.Close()
	c.state = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: int32(code), Signal: int32(sig), Reason: reason, Message: c.reason,
		StartedAt: metav1.NewTime(c.proc.Started()), FinishedAt: metav1.NewTime(at), ContainerID: c.id(),
	}}
	c.last = c.state
	c.ready, c.started = false, false
	c.mu.Unlock()
	c.pod.changed()
	return code
}

// id is the container's ID; c.mu is held.
func (c *container) id() string {
	if c.proc == nil {
		return ""
	}
	return fmt.Sprintf("process://%s-%s-%d", c.pod.uid, c.spec.Name, c.restarts)
}

func (c *container) set(s corev1.ContainerState) {
	c.mu.Lock()
	c.state = s
	c.mu.Unlock()
	c.pod.changed()
}

// restore gives a container that waited for its restart, which does not come, its end as its state.
func (c *container) restore() {
	c.mu.Lock()
	if c.last.Terminated != nil {
		c.state = c.last
	}
	c.mu.Unlock()
}

func (c *container) setStarted() {
	c.mu.Lock()
	c.started = true
	c.mu.Unlock()
	c.first.Do(func() { close(c.ready1) })
	c.pod.changed()
}

func (c *container) setReady(ok bool) {
	c.mu.Lock()
	c.ready = ok
	c.mu.Unlock()
	c.pod.changed()
}

// Signal sends a signal to a container's process, for tests of what happens when one crashes.
func (n *Node) Signal(namespace, pod, container string, s syscall.Signal) error {
	x := n.find(namespace, pod)
	if x == nil {
		return fmt.Errorf("pod %s/%s does not run", namespace, pod)
	}
	for _, c := range x.all() {
		c.mu.Lock()
		proc := c.proc
		c.mu.Unlock()
		if (container == "" || c.spec.Name == container) && proc != nil {
			return proc.Signal(s)
		}
	}
	return fmt.Errorf("pod %s/%s has no container %q that runs: %w", namespace, pod, container, os.ErrNotExist)
}
