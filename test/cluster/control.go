package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/nantian-gw/nantian/test/cluster/internal/programs"
)

// StopAPIServer ends the API server; pods and their traffic go on.
func (c *Cluster) StopAPIServer(ctx context.Context) error {
	return c.control(ctx, http.MethodPost, "/apiserver/stop", nil)
}

// StartAPIServer starts it again and returns when it is ready.
func (c *Cluster) StartAPIServer(ctx context.Context) error {
	return c.control(ctx, http.MethodPost, "/apiserver/start", nil)
}

// SetImage makes an image another program, as if a new one had been pushed: containers that start from now on run it.
func (c *Cluster) SetImage(ctx context.Context, image, program string) error {
	if err := programs.CheckStatic(program); err != nil {
		return err
	}
	table := c.Images()
	if table == nil {
		table = map[string]string{}
	}
	table[image] = program
	body, err := json.Marshal(table)
	if err != nil {
		return err
	}
	c.imageMu.Lock()
	c.options.Images = table
	c.imageMu.Unlock()
	return c.control(ctx, http.MethodPut, "/images", body)
}

// Signal sends a signal to the program of a pod's container, the first one if container is empty: SIGKILL is a crash.
func (c *Cluster) Signal(ctx context.Context, namespace, pod, container string, s syscall.Signal) error {
	q := url.Values{"container": {container}, "signal": {strconv.Itoa(int(s))}}
	return c.control(ctx, http.MethodPost, "/signal/"+url.PathEscape(namespace)+"/"+url.PathEscape(pod)+"?"+q.Encode(), nil)
}

// control asks the cluster's process for something.
func (c *Cluster) control(ctx context.Context, method, path string, body []byte) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(c.lease.dir, "control"))
	}}}
	req, err := http.NewRequestWithContext(ctx, method, "http://cluster"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, bytes.TrimSpace(text))
	}
	return err
}

// Logs is what a pod's container has written so far.
func (c *Cluster) Logs(ctx context.Context, namespace, pod, container string) (string, error) {
	b, err := c.client.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{Container: container}).DoRaw(ctx)
	return string(b), err
}

// WaitAvailable waits until a Deployment is as it is meant to be, with all of its pods ready and no others.
func (c *Cluster) WaitAvailable(ctx context.Context, namespace, deployment string) error {
	var state string
	err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		d, err := c.client.AppsV1().Deployments(namespace).Get(ctx, deployment, metav1.GetOptions{})
		if err != nil {
			state = err.Error()
			return false, nil
		}
		want, s := int32(1), d.Status
		if d.Spec.Replicas != nil {
			want = *d.Spec.Replicas
		}
		state = fmt.Sprintf("%d of %d pods are available, %d updated, %d in all", s.AvailableReplicas, want, s.UpdatedReplicas, s.Replicas)
		return s.ObservedGeneration >= d.Generation && s.AvailableReplicas == want && s.UpdatedReplicas == want && s.Replicas == want, nil
	})
	if err != nil {
		return fmt.Errorf("Deployment %s/%s: %s: %w", namespace, deployment, state, err)
	}
	return nil
}
