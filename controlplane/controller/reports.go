package controller

import (
	"context"
	"encoding/json"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/nantian-gw/nantian/controlplane/acks"
	"github.com/nantian-gw/nantian/controlplane/source/kube"
)

const (
	reportPrefix = "nantian-report-"
	// reportEvery is how often at most a replica's report is written, and reportRenewal how often at least: reports that are
	// older than reportExpiry are of replicas that are no more.
	reportEvery   = time.Second
	reportRenewal = time.Minute
	reportExpiry  = 5 * time.Minute
	renewed       = "gateway.nantian.dev/renewed"
)

// report writes what this replica's data planes answered into its ConfigMap, at first and when it changes.
func (c *Controller) report(ctx context.Context) error {
	var sent map[string]string
	var at time.Time
	c.repeat(ctx, "report", c.acks.News(), reportRenewal, func(ctx context.Context) error {
		if !wait(ctx, time.Until(at.Add(reportEvery))) {
			return nil
		}
		data, err := acks.Encode(c.acks.Groups())
		if err != nil || (sent != nil && maps.Equal(data, sent) && time.Since(at) < reportRenewal/2) {
			return err
		}
		at = time.Now()
		if err := c.writeReport(ctx, sent, data); err != nil {
			sent = nil
			return err
		}
		sent = data
		return nil
	})
	c.withdraw()
	return nil
}

// wait waits; it is false when ctx has ended.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (c *Controller) reportName() client.ObjectKey {
	return client.ObjectKey{Namespace: c.o.Namespace, Name: reportPrefix + c.o.Name}
}

// writeReport patches what has changed since the last report; without one it replaces the ConfigMap.
func (c *Controller) writeReport(ctx context.Context, sent, data map[string]string) error {
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: c.o.Namespace, Name: c.reportName().Name, Labels: map[string]string{kube.OwnLabel: partReport},
		Annotations: map[string]string{renewed: time.Now().UTC().Format(time.RFC3339)},
	}, Data: data}
	if sent == nil {
		err := c.client.Create(ctx, m)
		if apierrors.IsAlreadyExists(err) { // of an earlier run of this pod
			m.ResourceVersion = ""
			err = c.client.Update(ctx, m)
		}
		return err
	}
	change := map[string]any{}
	for key, text := range data {
		if sent[key] != text {
			change[key] = text
		}
	}
	for key := range sent {
		if _, ok := data[key]; !ok {
			change[key] = nil
		}
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": m.Annotations}, "data": change})
	if err != nil {
		return err
	}
	return c.client.Patch(ctx, m, client.RawPatch(types.MergePatchType, body))
}

// withdraw deletes the report when the replica ends. One that is killed leaves it, and the leader removes it.
func (c *Controller) withdraw() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	key := c.reportName()
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	if err := client.IgnoreNotFound(c.client.Delete(ctx, m)); err != nil {
		c.o.Log.Debug("the report stays", "error", err)
	}
}

// answers is the sum of all replicas' reports, this one's own as it is now. Reports of replicas that are no more are deleted.
func (c *Controller) answers(ctx context.Context) (map[string]acks.Group, error) {
	var list corev1.ConfigMapList
	if err := c.own.List(ctx, &list, client.InNamespace(c.o.Namespace), client.MatchingLabels{kube.OwnLabel: partReport}); err != nil {
		return nil, err
	}
	sums := []map[string]acks.Group{c.acks.Groups()}
	for i := range list.Items {
		m := &list.Items[i]
		if m.Name == c.reportName().Name {
			continue
		}
		if t, err := time.Parse(time.RFC3339, m.Annotations[renewed]); err != nil || time.Since(t) > reportExpiry {
			if err := client.IgnoreNotFound(c.client.Delete(ctx, m)); err != nil {
				return nil, err
			}
			continue
		}
		sums = append(sums, acks.Decode(m.Data))
	}
	return acks.Merge(sums...), nil
}
