// Package kube gives the objects of a Kubernetes cluster, watched by controller-runtime's cache. It owns which kinds are
// watched, how closely following changes are gathered, and what of each object is kept in memory.
//
// A kind whose CRD is missing is left out, and picked up when the CRD arrives. An outage of the API server leaves what was
// read before.
package kube

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/source"
	"github.com/nantian-gw/nantian/crds/v1alpha1"
)

// OwnLabel marks Secrets and ConfigMaps that the controller itself writes. They are no input, and not watched here.
const OwnLabel = "gateway.nantian.dev/part-of-controller"

// Options configure a Source. The zero value of a field is its default.
type Options struct {
	// Config is how the API server is reached. Required.
	Config *rest.Config
	// Log takes what operators should know; nil: nothing.
	Log *slog.Logger
	// Quiet is how long it must be quiet before changes are told, and Most how long they wait at most; zero: 50 and 500 ms.
	Quiet, Most time.Duration
	// Retry is the wait before a kind that cannot be watched is tried again; zero: 1 s.
	Retry time.Duration
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&o.Quiet, 50 * time.Millisecond}, {&o.Most, 500 * time.Millisecond}, {&o.Retry, time.Second}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return o
}

// Source watches a cluster. Run may be called once.
type Source struct {
	o     Options
	cache cache.Cache
	store *store
	kinds []*follower
	ready atomic.Bool

	bundles bundles
}

var _ source.Source = (*Source)(nil)

// New makes a Source; it does not wait for the API server.
func New(o Options) (*Source, error) {
	if o.Config == nil {
		return nil, errors.New("kube: Options.Config is required")
	}
	s := &Source{o: o.withDefaults(), store: newStore()}
	scheme, err := Scheme()
	if err != nil {
		return nil, err
	}
	s.cache, err = cache.New(o.Config, cache.Options{
		Scheme: scheme, DefaultTransform: trim, ByObject: selectors(),
		DefaultUnsafeDisableDeepCopy: new(true),
		DefaultWatchErrorHandler:     s.watchError,
	})
	if err != nil {
		return nil, err
	}
	for _, k := range resources.Kinds() {
		s.kinds = append(s.kinds, newFollower(s, k))
	}
	return s, nil
}

// Scheme knows all kinds that the control plane reads.
func Scheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, discoveryv1.AddToScheme, gatewayv1.Install, v1alpha1.AddToScheme, metav1.AddMetaToScheme,
	} {
		if err := add(s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// selectors leave out what is large and never a reference's aim: Helm's releases, tokens, credentials of image registries;
// and what the controller writes for itself.
func selectors() map[client.Object]cache.ByObject {
	var types []fields.Selector
	for _, t := range []string{"helm.sh/release.v1", string(corev1.SecretTypeServiceAccountToken), string(corev1.SecretTypeBootstrapToken),
		string(corev1.SecretTypeDockercfg), string(corev1.SecretTypeDockerConfigJson)} {
		types = append(types, fields.OneTermNotEqualSelector("type", t))
	}
	own, err := labels.NewRequirement(OwnLabel, selection.DoesNotExist, nil)
	if err != nil {
		panic(err) // the label is a constant
	}
	others := labels.NewSelector().Add(*own)
	return map[client.Object]cache.ByObject{
		&corev1.Secret{}:    {Label: others, Field: fields.AndSelectors(types...)},
		&corev1.ConfigMap{}: {Label: others},
	}
}

// Ready tells whether all kinds that the cluster has were read once.
func (s *Source) Ready() error {
	if s.ready.Load() {
		return nil
	}
	return errors.New("the cluster's objects have not been read yet")
}

// Run implements source.Source.
func (s *Source) Run(ctx context.Context, changed func(*resources.Set)) error {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.cache.Start(ctx) }()
	crds := newCRDs(s)
	var ended []<-chan struct{}
	for _, f := range s.kinds {
		ended = append(ended, goes(func() { f.run(ctx) }))
	}
	ended = append(ended, goes(func() { crds.run(ctx) }))
	defer func() {
		cancel()
		for _, e := range ended {
			<-e
		}
		<-done
	}()
	if !s.synced(ctx) {
		return nil
	}
	s.ready.Store(true)
	return s.tell(ctx, changed)
}

// goes runs f and closes the channel when it has ended.
func goes(f func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return done
}

// synced waits until every kind was read once or is known to be missing; false: ctx ended first.
func (s *Source) synced(ctx context.Context) bool {
	for _, f := range s.kinds {
		select {
		case <-f.settled:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// tell hands sets on until ctx ends.
func (s *Source) tell(ctx context.Context, changed func(*resources.Set)) error {
	last := s.store.all()
	changed(last)
	p := pace{quiet: s.o.Quiet, most: s.o.Most}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.store.news:
			if due, ok := p.due(s.store.pending()); ok {
				timer.Reset(time.Until(due))
			}
		case <-timer.C:
			last = s.store.next(last)
			p = pace{quiet: s.o.Quiet, most: s.o.Most}
			changed(last)
		}
	}
}

// watchError is called when a list or watch fails. Both are tried again, with backoff, for ever.
func (s *Source) watchError(_ context.Context, r *toolscache.Reflector, err error) {
	s.o.Log.Debug("watch ended", "kind", r.TypeDescription(), "error", err)
}
