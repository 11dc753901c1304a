package patch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/status"
)

const (
	// maxTries bounds the attempts at an object that others write at the same time.
	maxTries = 5
	// writers is how many objects are written at once.
	writers = 8
	// maxErrors is how many are told of at once.
	maxErrors = 5
)

// Options configure a Writer.
type Options struct {
	// Client reads and patches objects, without a cache. Required.
	Client client.Client
	// Controller is the name under which parents and ancestors are ours. Required.
	Controller gatewayv1.GatewayController
	// Log takes what operators should know; nil: nothing.
	Log *slog.Logger
	// Count is told of each write: "written", "conflict" or "error"; nil: nobody.
	Count func(outcome string)
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Writer writes statuses. It is for one goroutine.
type Writer struct {
	o    Options
	done map[resources.Ref]*done
	// pass counts the calls of Sync.
	pass uint64
}

// done is what an object's status was last brought in line with.
type done struct {
	// version is the one that was written or found right; base the one that was read before writing. When the watch has not
	// brought the newer one yet, there is nothing to do either.
	version, base string
	update        status.Update
	pass          uint64 // in which the object was there last
}

// New makes a Writer.
func New(o Options) *Writer {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Count == nil {
		o.Count = func(string) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Writer{o: o, done: map[resources.Ref]*done{}}
}

// job is an object whose status is to be written.
type job struct {
	kind   resources.Kind
	ref    resources.Ref
	live   resources.Value
	patch  map[string]any
	update status.Update
}

// Sync writes the statuses that are different from those of the live objects in the set. What others wrote at the same time
// is read again, a few times. An error tells of objects that were not written; the next Sync tries them again.
func (w *Writer) Sync(ctx context.Context, set *resources.Set, updates []status.Update) error {
	jobs, err := w.jobs(set, updates)
	if err != nil {
		return err
	}
	results := make([]error, len(jobs))
	dones := make([]done, len(jobs))
	work := make(chan int)
	var wg sync.WaitGroup
	for range min(writers, len(jobs)) {
		wg.Go(func() {
			for i := range work {
				dones[i], results[i] = w.write(ctx, jobs[i])
			}
		})
	}
	for i := range jobs {
		work <- i
	}
	close(work)
	wg.Wait()
	var errs []error
	for i, err := range results {
		if err == nil {
			dones[i].pass = w.pass
			w.done[jobs[i].ref] = &dones[i]
		} else if len(errs) < maxErrors {
			errs = append(errs, fmt.Errorf("status of %s: %w", jobs[i].ref, err))
		}
	}
	return errors.Join(errs...)
}

// jobs finds what there is to write.
func (w *Writer) jobs(set *resources.Set, updates []status.Update) ([]job, error) {
	wanted := make(map[resources.Ref]int32, len(updates)) // index of updates
	for i := range updates {
		wanted[updates[i].Ref] = int32(i)
	}
	w.pass++
	var jobs []job
	for _, k := range resources.Kinds() {
		if !k.Defined() {
			continue
		}
		for _, v := range set.Values(k) {
			ref := resources.Ref{Group: k.Group, Kind: k.Kind, Namespace: v.GetNamespace(), Name: v.GetName()}
			i, ok := wanted[ref]
			u := status.Update{Ref: ref}
			if ok {
				u = updates[i]
			}
			before := w.done[ref]
			if before != nil {
				before.pass = w.pass
			}
			if before != nil && (v.GetResourceVersion() == before.version || v.GetResourceVersion() == before.base) && same(&u, &before.update) {
				before.update = u // the next is compared with this one
				continue
			}
			j, err := w.job(k, ref, v, u, ok)
			if err != nil {
				return nil, err
			}
			if j.patch != nil {
				jobs = append(jobs, j)
			} else {
				w.done[ref] = &done{version: v.GetResourceVersion(), update: u, pass: w.pass}
			}
		}
	}
	maps.DeleteFunc(w.done, func(_ resources.Ref, d *done) bool { return d.pass != w.pass })
	return jobs, nil
}

// same says whether two updates of an object say the same.
func same(a, b *status.Update) bool {
	return sameList(a.Parents, b.Parents) && sameList(a.Conditions, b.Conditions) && sameList(a.Listeners, b.Listeners) &&
		sameList(a.Addresses, b.Addresses) && sameList(a.Features, b.Features) && ptr.Equal(a.AttachedListenerSets, b.AttachedListenerSets)
}

// sameList compares lists. Those of most objects are the very same from one translation to the next, which costs nothing to see.
func sameList[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || reflect.DeepEqual(a, b))
}

func (w *Writer) merger() merger { return merger{w.o.Controller, metav1.NewTime(w.o.Now())} }

// job compares an object's live status with what it should be. Without an update only what we said before is taken away.
func (w *Writer) job(k resources.Kind, ref resources.Ref, v resources.Value, u status.Update, wanted bool) (job, error) {
	j := job{kind: k, ref: ref, live: v, update: u}
	live, err := read(v)
	if err != nil {
		return j, fmt.Errorf("status of %s: %w", ref, err)
	}
	m := w.merger()
	if !wanted && !m.claimed(live) {
		return j, nil
	}
	j.patch, err = difference(live, m.merge(v, live, u))
	return j, err
}

// write patches, and on a conflict compares with the newest version again.
func (w *Writer) write(ctx context.Context, j job) (done, error) {
	for try := 1; ; try++ {
		version, err := w.send(ctx, j)
		switch {
		case err == nil:
			w.o.Count("written")
			return done{version: version, base: j.live.GetResourceVersion(), update: j.update}, nil
		case apierrors.IsNotFound(err): // it is being deleted
			return done{base: j.live.GetResourceVersion(), update: j.update}, nil
		case !apierrors.IsConflict(err) || try == maxTries:
			w.o.Count("error")
			return done{}, err
		}
		w.o.Count("conflict")
		fresh := j.kind.New()
		if err := w.o.Client.Get(ctx, client.ObjectKeyFromObject(j.live), fresh); err != nil {
			return done{}, client.IgnoreNotFound(err)
		}
		if fresh.GetGeneration() != j.live.GetGeneration() || fresh.GetUID() != j.live.GetUID() {
			return done{}, nil // translated anew in a moment
		}
		next, err := w.job(j.kind, j.ref, fresh, j.update, true)
		if err != nil || next.patch == nil {
			return done{version: fresh.GetResourceVersion(), base: j.live.GetResourceVersion(), update: j.update}, err
		}
		j = next
	}
}

// send patches the status of exactly the version that was read. It returns the new version.
func (w *Writer) send(ctx context.Context, j job) (version string, err error) {
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]string{"resourceVersion": j.live.GetResourceVersion()}, "status": j.patch,
	})
	if err != nil {
		return "", err
	}
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(j.kind.GroupVersionKind())
	o.SetNamespace(j.ref.Namespace)
	o.SetName(j.ref.Name)
	err = w.o.Client.Status().Patch(ctx, o, client.RawPatch(types.MergePatchType, body))
	return o.GetResourceVersion(), err
}
