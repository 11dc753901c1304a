package controller

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// LeaseName is the name of the Lease that the leader holds.
const LeaseName = "nantian-controller"

// lead takes part in elections until ctx ends. A replica that loses the lease goes on serving data planes, and may lead again.
func (c *Controller) lead(ctx context.Context) error {
	if !c.o.LeaderElection {
		c.leadNow(ctx)
		return nil
	}
	config := rest.CopyConfig(c.o.Config)
	config.Timeout = 5 * time.Second // a request that hangs must not outlast the lease
	api, err := coordination.NewForConfig(config)
	if err != nil {
		return err
	}
	lock := &resourcelock.LeaseLock{
		LeaseMeta: metav1.ObjectMeta{Namespace: c.o.Namespace, Name: LeaseName}, Client: api,
		LockConfig: resourcelock.ResourceLockConfig{Identity: c.o.Name},
	}
	for ctx.Err() == nil {
		done := make(chan struct{})
		e, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: lock, LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second,
			ReleaseOnCancel: true, Name: LeaseName,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(ctx context.Context) { defer close(done); c.leadNow(ctx) },
				OnStoppedLeading: func() {},
			},
		})
		if err != nil {
			return err
		}
		e.Run(ctx)
		if c.leading.Load() { // its work is to have ended before somebody else's begins, or this one's again
			<-done
		}
	}
	return nil
}

// leadNow does the leader's work until ctx ends.
func (c *Controller) leadNow(ctx context.Context) {
	c.leading.Store(true)
	c.metrics.lead(true)
	c.o.Log.Info("leading: this replica writes statuses, certificates and data planes")
	defer func() {
		c.leading.Store(false)
		c.metrics.lead(false)
		c.o.Log.Info("no longer leading")
	}()
	together(ctx, c.leadCertificates, c.leadStatuses, c.leadProvisioning)
}

func (c *Controller) leadCertificates(ctx context.Context) error {
	news, stop := c.latest.subscribe()
	defer stop()
	if err := c.watchOwn(ctx, &corev1.Secret{}, news); err != nil {
		return err
	}
	c.repeat(ctx, "certificates", news, certificateCheck, c.issue)
	return nil
}

func (c *Controller) leadStatuses(ctx context.Context) error {
	news, stop := c.latest.subscribe()
	defer stop()
	if err := c.watchOwn(ctx, &corev1.ConfigMap{}, news); err != nil {
		return err
	}
	c.repeat(ctx, "statuses", news, reportExpiry, c.writeStatuses)
	return nil
}
