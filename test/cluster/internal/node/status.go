package node

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// statusPause gathers changes of a pod's status that come together.
const statusPause = 20 * time.Millisecond

// reportAll writes the pod's status each time that it has changed, until the pod is over.
func (x *pod) reportAll(over context.Context) {
	for {
		select {
		case <-over.Done():
			return
		case <-x.status:
		}
		<-time.After(statusPause)
		x.report()
	}
}

// report writes the status. Conditions of others stay.
func (x *pod) report() {
	pods := x.node.client.CoreV1().Pods(x.namespace)
	err := retry(func() error {
		cur, err := pods.Get(context.Background(), x.name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if cur.UID != x.uid {
			return nil
		}
		before := cur.Status.DeepCopy()
		x.fill(cur)
		if equality.Semantic.DeepEqual(before, &cur.Status) {
			return nil
		}
		_, err = pods.UpdateStatus(context.Background(), cur, metav1.UpdateOptions{})
		return err
	})
	switch {
	case apierrors.IsConflict(err):
		x.changed()
	case err != nil && !apierrors.IsNotFound(err):
		x.node.log.Error("status", "pod", x.namespace+"/"+x.name, "error", err)
	}
}

// fill writes what is known of the pod into its status.
func (x *pod) fill(p *corev1.Pod) {
	x.mu.Lock()
	ip, why := x.ip, x.waiting
	x.mu.Unlock()
	s := &p.Status
	start := metav1.NewTime(x.started.Truncate(time.Second))
	s.StartTime = &start
	s.HostIP = x.node.network.Node().String()
	s.HostIPs = []corev1.HostIP{{IP: s.HostIP}}
	if ip.IsValid() {
		s.PodIP = ip.String()
		s.PodIPs = []corev1.PodIP{{IP: s.PodIP}}
	}
	s.InitContainerStatuses = statuses(x.inits, why)
	s.ContainerStatuses = statuses(x.mains, why)
	s.Phase = x.phase()
	x.conditions(p)
}

func statuses(list []*container, why string) []corev1.ContainerStatus {
	var out []corev1.ContainerStatus
	for _, c := range list {
		s := c.snapshot()
		if w := s.State.Waiting; w != nil && why != "" {
			s.State = waiting("ContainerCreating", why)
		}
		out = append(out, s)
	}
	return out
}

func (c *container) snapshot() corev1.ContainerStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	started := c.started
	s := corev1.ContainerStatus{
		Name: c.spec.Name, Image: c.spec.Image, ImageID: c.program, ContainerID: c.id(), State: *c.state.DeepCopy(),
		Ready: c.ready, Started: &started, RestartCount: c.restarts,
	}
	if c.once && s.State.Terminated != nil { // an init container that is done is ready
		s.Ready = s.State.Terminated.ExitCode == 0
	}
	if c.state.Terminated == nil {
		s.LastTerminationState = *c.last.DeepCopy()
	}
	return s
}

// phase is the sum of the containers' states.
func (x *pod) phase() corev1.PodPhase {
	pending, running, failed := false, false, false
	for _, c := range x.mains {
		s := c.snapshot()
		switch {
		case s.State.Running != nil, s.State.Waiting != nil && s.LastTerminationState.Terminated != nil:
			running = true
		case s.State.Waiting != nil:
			pending = true
		case x.life.Err() == nil && c.again(int(s.State.Terminated.ExitCode)):
			running = true
		case s.State.Terminated.ExitCode != 0:
			failed = true
		}
	}
	switch {
	case x.initFailed():
		return corev1.PodFailed
	case pending:
		return corev1.PodPending
	case running:
		return corev1.PodRunning
	case failed:
		return corev1.PodFailed
	}
	return corev1.PodSucceeded
}

// initFailed reports whether an init container has failed for good.
func (x *pod) initFailed() bool {
	for _, c := range x.inits {
		if t := c.snapshot().State.Terminated; c.once && t != nil && t.ExitCode != 0 && !c.again(int(t.ExitCode)) {
			return true
		}
	}
	return false
}

// conditions sets those that are a kubelet's, and leaves others.
func (x *pod) conditions(p *corev1.Pod) {
	var unready, uninitialized []string
	for _, c := range x.mains {
		if !c.snapshot().Ready {
			unready = append(unready, c.spec.Name)
		}
	}
	for _, c := range x.inits {
		if s := c.snapshot(); !s.Ready && (s.Started == nil || !*s.Started) {
			uninitialized = append(uninitialized, c.spec.Name)
		}
	}
	set(p, corev1.PodReadyToStartContainers, p.Status.PodIP != "", "", "")
	set(p, corev1.PodInitialized, len(uninitialized) == 0, "ContainersNotInitialized", "containers with incomplete status: "+strings.Join(uninitialized, " "))
	message := "containers with unready status: " + strings.Join(unready, " ")
	reason := "ContainersNotReady"
	if p.Status.Phase == corev1.PodSucceeded {
		reason = "PodCompleted"
	}
	set(p, corev1.ContainersReady, len(unready) == 0, reason, message)
	gate := closedGate(p)
	if len(unready) == 0 && gate != "" {
		reason, message = "ReadinessGatesNotReady", "the status of pod readiness gate "+gate+" is not True"
	}
	set(p, corev1.PodReady, len(unready) == 0 && gate == "", reason, message)
}

// closedGate is a readiness gate of the pod that is not open.
func closedGate(p *corev1.Pod) string {
	for _, g := range p.Spec.ReadinessGates {
		open := false
		for _, c := range p.Status.Conditions {
			open = open || c.Type == g.ConditionType && c.Status == corev1.ConditionTrue
		}
		if !open {
			return string(g.ConditionType)
		}
	}
	return ""
}

func set(p *corev1.Pod, kind corev1.PodConditionType, ok bool, reason, message string) {
	status := corev1.ConditionTrue
	if !ok {
		status = corev1.ConditionFalse
	} else {
		reason, message = "", ""
	}
	for i := range p.Status.Conditions {
		c := &p.Status.Conditions[i]
		if c.Type != kind {
			continue
		}
		if c.Status != status {
			c.LastTransitionTime = metav1.Now()
		}
		c.Status, c.Reason, c.Message, c.ObservedGeneration = status, reason, message, p.Generation
		return
	}
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{
		Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.Now(), ObservedGeneration: p.Generation,
	})
}

// remove removes the object of a pod that is being deleted.
func (x *pod) remove() {
	var zero int64
	uid := x.uid
	options := metav1.DeleteOptions{GracePeriodSeconds: &zero, Preconditions: &metav1.Preconditions{UID: &uid}}
	err := retry(func() error {
		return x.node.client.CoreV1().Pods(x.namespace).Delete(context.Background(), x.name, options)
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		x.node.log.Error("delete", "pod", x.namespace+"/"+x.name, "error", err)
	}
}
