package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/nantian-gw/nantian/test/cluster/internal/link"
	"github.com/nantian-gw/nantian/test/cluster/internal/volume"
)

// volumeRetry is how soon volumes are tried again that could not be made. A change of a Secret or ConfigMap is a reason to try at once.
const volumeRetry = time.Second

// pod is a pod that runs here. One goroutine (run) goes through its life; others tell it of news.
type pod struct {
	node            *Node
	uid             types.UID
	namespace, name string
	dir             string
	volumes         *volume.Set
	net             *link.Pod
	started         time.Time

	inits, mains []*container

	news   chan struct{} // there is something to look at: the object, a Secret, a container's state
	status chan struct{} // the status may have changed
	// life ends when the pod is deleted: no container is started any more.
	life context.Context
	end  context.CancelFunc
	// now ends when the pod is to end without grace.
	now  context.Context
	kill context.CancelFunc

	mu      sync.Mutex
	object  *corev1.Pod // as it was last seen
	ip      netip.Addr
	waiting string // why no container was started yet; empty if nothing is missing
}

func newPod(n *Node, p *corev1.Pod) *pod {
	x := &pod{
		node: n, uid: p.UID, namespace: p.Namespace, name: p.Name, dir: filepath.Join(n.dir, string(p.UID)), started: time.Now(),
		news: make(chan struct{}, 1), status: make(chan struct{}, 1), object: p,
	}
	x.volumes = volume.NewSet(filepath.Join(x.dir, "volumes"), n, n.renewal)
	x.life, x.end = context.WithCancel(context.Background())
	x.now, x.kill = context.WithCancel(context.Background())
	for i := range p.Spec.InitContainers {
		c := &p.Spec.InitContainers[i]
		x.inits = append(x.inits, newContainer(x, c, c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways))
	}
	for i := range p.Spec.Containers {
		x.mains = append(x.mains, newContainer(x, &p.Spec.Containers[i], false))
	}
	return x
}

// update takes a new version of the object.
func (x *pod) update(p *corev1.Pod) {
	x.mu.Lock()
	x.object = p
	x.mu.Unlock()
	if p.DeletionTimestamp != nil {
		x.end()
	}
	x.wake()
}

// gone is for a pod whose object is no more: it ends without grace.
func (x *pod) gone() {
	x.kill()
	x.end()
}

func (x *pod) wake() { signal(x.news) }

// changed says that the status may have changed.
func (x *pod) changed() { signal(x.status) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// current is the object as containers see it: with the pod's address.
func (x *pod) current() *corev1.Pod {
	x.mu.Lock()
	defer x.mu.Unlock()
	p := x.object.DeepCopy()
	p.Status.HostIP = x.node.network.Node().String()
	if x.ip.IsValid() {
		p.Status.PodIP = x.ip.String()
	}
	return p
}

// run is the life of a pod, from its volumes to the removal of its object.
func (x *pod) run() {
	defer os.RemoveAll(x.dir)
	over, stop := context.WithCancel(context.Background())
	go x.reportAll(over)
	x.changed()
	if x.prepare() == nil {
		x.runContainers()
	}
	stop()
	x.report()
	<-x.life.Done() // a pod that has come to its end by itself is there until it is deleted, as are its logs
	x.remove()
}

// prepare makes volumes and network. It fails only if the pod is to end.
func (x *pod) prepare() error {
	for {
		err := unsupported(&x.current().Spec)
		if err == nil {
			err = x.volumes.Update(x.life, x.current())
		}
		if err == nil {
			err = x.connect()
		}
		if err == nil {
			x.wait("")
			return nil
		}
		if x.life.Err() != nil {
			return x.life.Err()
		}
		x.wait(err.Error())
		x.node.events.Event(x.current(), corev1.EventTypeWarning, "FailedMount", err.Error())
		select {
		case <-x.life.Done():
		case <-x.news:
		case <-time.After(volumeRetry):
		}
	}
}

// unsupported is an error if a pod asks for what a process of this node cannot have and might rely on.
func unsupported(s *corev1.PodSpec) error {
	if s.HostNetwork || s.HostPID || s.HostIPC {
		return errors.New("hostNetwork, hostPID and hostIPC are not supported by the test cluster")
	}
	for _, c := range slices.Concat(s.InitContainers, s.Containers) {
		if len(c.VolumeDevices) > 0 {
			return fmt.Errorf("container %q: volumeDevices are not supported by the test cluster", c.Name)
		}
		for _, p := range c.Ports {
			if p.HostPort != 0 {
				return fmt.Errorf("container %q: hostPort is not supported by the test cluster", c.Name)
			}
		}
	}
	return nil
}

// wait notes why no container is started yet.
func (x *pod) wait(why string) {
	x.mu.Lock()
	x.waiting = why
	x.mu.Unlock()
	x.changed()
}

// connect gives the pod its network.
func (x *pod) connect() error {
	p := x.current()
	if x.net != nil {
		return nil
	}
	addr, err := x.node.addrs.take()
	if err != nil {
		return err
	}
	b := addr.As4()
	net, err := link.NewPod(fmt.Sprintf("pod%d-%d", b[2], b[3]), addr, x.node.network.Node(), sysctls(p))
	if err != nil {
		x.node.addrs.give(addr)
		return err
	}
	x.mu.Lock()
	x.net, x.ip = net, addr
	x.mu.Unlock()
	return x.writeFiles(p)
}

func sysctls(p *corev1.Pod) map[string]string {
	out := map[string]string{}
	if c := p.Spec.SecurityContext; c != nil {
		for _, s := range c.Sysctls {
			out[s.Name] = s.Value
		}
	}
	return out
}

// runContainers runs the containers until all have come to their end, or the pod has to.
func (x *pod) runContainers() {
	defer func() {
		x.net.Close()
		x.node.addrs.give(x.ip)
	}()
	life, stop := context.WithCancel(x.life)
	defer stop()
	go x.keepVolumes(life)
	var all sync.WaitGroup
	sidecars, stopSidecars := context.WithCancel(context.Background()) // they end after all others
	defer stopSidecars()
	if !x.runInits(sidecars, &all) {
		stopSidecars()
		all.Wait()
		return
	}
	var mains sync.WaitGroup
	for _, c := range x.mains {
		mains.Go(func() { c.run(x.life) })
	}
	mains.Wait()
	stopSidecars()
	all.Wait()
}

// runInits runs the init containers one after the other. One that restarts always goes on beside the others once it has started.
func (x *pod) runInits(sidecars context.Context, all *sync.WaitGroup) bool {
	for _, c := range x.inits {
		if c.once {
			if ok := c.run(x.life); !ok {
				return false
			}
			continue
		}
		all.Go(func() { c.run(sidecars) })
		select {
		case <-c.ready1:
		case <-x.life.Done():
			return false
		}
	}
	return x.life.Err() == nil
}

// keepVolumes brings volumes up to date when something they are made from changes, and renews tokens, until all has ended.
func (x *pod) keepVolumes(life context.Context) {
	retry := false
	for {
		var due <-chan time.Time
		if next := x.volumes.NextRenewal(); !next.IsZero() {
			due = time.After(time.Until(next))
		}
		if retry {
			due = time.After(volumeRetry)
		}
		select {
		case <-life.Done():
			return
		case <-x.news:
		case <-due:
		}
		err := x.volumes.Update(life, x.current())
		if retry = err != nil && life.Err() == nil; retry {
			x.node.events.Event(x.current(), corev1.EventTypeWarning, "FailedMount", err.Error())
		}
	}
}
