package kube

import (
	"maps"

	"k8s.io/apimachinery/pkg/api/equality"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nantian-gw/nantian/controlplane/resources"
)

// trim takes out of an object, before it is kept, what the control plane never reads. It is a toolscache.TransformFunc.
func trim(o any) (any, error) {
	m, ok := o.(metav1.Object)
	if !ok {
		return o, nil
	}
	m.SetManagedFields(nil)
	if a := m.GetAnnotations(); a[corev1.LastAppliedConfigAnnotation] != "" { // of a Secret it has all its values once more
		a = maps.Clone(a)
		delete(a, corev1.LastAppliedConfigAnnotation)
		m.SetAnnotations(a)
	}
	switch v := o.(type) {
	case *discoveryv1.EndpointSlice:
		trimSlice(v)
	case *corev1.ConfigMap:
		v.BinaryData = nil
	}
	return o, nil
}

// trimSlice leaves addresses, conditions, zones and ports: there may be very many.
func trimSlice(e *discoveryv1.EndpointSlice) {
	e.Annotations, e.OwnerReferences = nil, nil
	e.Labels = map[string]string{discoveryv1.LabelServiceName: e.Labels[discoveryv1.LabelServiceName]}
	for i := range e.Endpoints {
		ep := &e.Endpoints[i]
		ep.Hostname, ep.TargetRef, ep.NodeName, ep.DeprecatedTopology = nil, nil, nil, nil
	}
}

// differ says whether two versions of an object differ in what translation reads: more than their status.
func differ(a, b resources.Value) bool {
	if a.GetUID() != b.GetUID() || a.GetGeneration() != b.GetGeneration() || !maps.Equal(a.GetLabels(), b.GetLabels()) ||
		!maps.Equal(a.GetAnnotations(), b.GetAnnotations()) || !a.GetDeletionTimestamp().Equal(b.GetDeletionTimestamp()) {
		return true
	}
	switch a := a.(type) { // those that count no generations
	case *corev1.Service:
		return !equality.Semantic.DeepEqual(a.Spec, b.(*corev1.Service).Spec)
	case *corev1.Secret:
		return a.Type != b.(*corev1.Secret).Type || !equality.Semantic.DeepEqual(a.Data, b.(*corev1.Secret).Data)
	case *corev1.ConfigMap:
		return !maps.Equal(a.Data, b.(*corev1.ConfigMap).Data)
	case *corev1.Namespace:
		return false
	}
	return a.GetGeneration() == 0
}
