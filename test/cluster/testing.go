package cluster

import (
	"context"
	"testing"
)

// New starts a cluster that ends with the test. The test fails if the cluster ends before it.
func New(t testing.TB, o Options) *Cluster {
	t.Helper()
	c, err := Start(context.Background(), o)
	if err != nil {
		t.Fatalf("start a cluster: %v", err)
	}
	t.Cleanup(func() {
		select {
		case <-c.Done():
			if !c.stopped.Load() {
				t.Errorf("the cluster ended before the test:\n%s", c.machineLog())
			}
		default:
		}
		if err := c.Stop(); err != nil {
			t.Errorf("stop the cluster: %v", err)
		}
	})
	return c
}
