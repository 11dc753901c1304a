package provision

import (
	"cmp"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// disruptionBudget lets one data plane be away at a time, where there are several and nothing else is said.
func (m *maker) disruptionBudget() client.Object {
	c := m.g.Config
	least := ptr.Deref(c.Replicas, defaultReplicas)
	if c.Autoscaling != nil {
		least = c.Autoscaling.MinReplicas
	}
	if c.PodDisruptionBudget == nil && least < 2 {
		return nil
	}
	b := &policyv1.PodDisruptionBudget{
		TypeMeta: typeMeta("policy/v1", "PodDisruptionBudget"), ObjectMeta: m.meta(m.name, nil),
		Spec: policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: m.selector()}, MaxUnavailable: ptr.To(intstr.FromInt32(1))},
	}
	if own := c.PodDisruptionBudget; own != nil {
		b.Spec.MinAvailable, b.Spec.MaxUnavailable = own.MinAvailable, own.MaxUnavailable
	}
	return b
}

func (m *maker) autoscaler() client.Object {
	a := m.g.Config.Autoscaling
	if a == nil {
		return nil
	}
	return &autoscalingv2.HorizontalPodAutoscaler{
		TypeMeta: typeMeta("autoscaling/v2", "HorizontalPodAutoscaler"), ObjectMeta: m.meta(m.name, nil),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: m.name},
			MinReplicas:    ptr.To(max(a.MinReplicas, 1)), MaxReplicas: a.MaxReplicas,
			Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
				Name:   corev1.ResourceCPU,
				Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: ptr.To(cmp.Or(a.CPUUtilization, 70))},
			}}},
		},
	}
}
