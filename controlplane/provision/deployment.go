package provision

import (
	"cmp"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// defaultReplicas are as many as replicasOf of package translate takes.
	defaultReplicas = 2
	// user is nobody in particular.
	user = 65532
	// shutdownDelay is how long a data plane that is to end still takes connections: until all that lead to it know.
	shutdownDelay = 5 * time.Second
	healthPort    = 15002
)

func (m *maker) deployment() client.Object {
	meta := m.meta(m.name, nil)
	pod := metav1.ObjectMeta{Labels: meta.Labels, Annotations: meta.Annotations}
	d := &appsv1.Deployment{
		TypeMeta: typeMeta("apps/v1", "Deployment"), ObjectMeta: meta,
		Spec: appsv1.DeploymentSpec{
			Replicas: m.replicas(), RevisionHistoryLimit: ptr.To[int32](3),
			Selector: &metav1.LabelSelector{MatchLabels: m.selector()},
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: ptr.To(intstr.FromInt32(0)), MaxSurge: ptr.To(intstr.FromInt32(1))}},
			Template: corev1.PodTemplateSpec{ObjectMeta: pod, Spec: m.pod()},
		},
	}
	return d
}

// replicas is nil where an autoscaler decides.
func (m *maker) replicas() *int32 {
	if m.g.Config.Autoscaling != nil {
		return nil
	}
	return ptr.To(ptr.Deref(m.g.Config.Replicas, defaultReplicas))
}

func (m *maker) pod() corev1.PodSpec {
	c := m.g.Config
	grace := int64((m.drain() + shutdownDelay + 10*time.Second) / time.Second)
	return corev1.PodSpec{
		ServiceAccountName: m.name, AutomountServiceAccountToken: new(false), EnableServiceLinks: new(false),
		TerminationGracePeriodSeconds: &grace,
		ImagePullSecrets:              c.ImagePullSecrets, NodeSelector: c.NodeSelector, Tolerations: c.Tolerations, PriorityClassName: c.PriorityClassName,
		TopologySpreadConstraints: m.spread(),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: new(true), RunAsUser: ptr.To[int64](user), RunAsGroup: ptr.To[int64](user), FSGroup: ptr.To[int64](user),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			// Listeners have ports below 1024. The sysctl is one that Kubernetes counts as safe (1.22).
			Sysctls: []corev1.Sysctl{{Name: "net.ipv4.ip_unprivileged_port_start", Value: "0"}},
		},
		Containers: []corev1.Container{m.container()},
		Volumes: []corev1.Volume{
			{Name: "xds", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: m.o.Secret(m.g.Group).Name, DefaultMode: ptr.To[int32](0o440)}}},
			{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		},
	}
}

func (m *maker) container() corev1.Container {
	probe := func(path string, period, failures int32) *corev1.Probe {
		return &corev1.Probe{PeriodSeconds: period, FailureThreshold: failures, TimeoutSeconds: 3,
			ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("health")}}}
	}
	return corev1.Container{
		Name: "proxy", Image: cmp.Or(m.g.Config.Image, m.o.Image),
		Args: []string{
			"proxy", "--xds=" + m.o.XDS, "--group=" + string(m.g.Group), "--xds-tls=/etc/nantian/xds", "--data-dir=/var/lib/nantian",
			"--drain-timeout=" + m.drain().String(), "--shutdown-delay=" + shutdownDelay.String(),
		},
		// Kubernetes puts the node's zone onto the pod (1.33); without it the zone is not known.
		Env: []corev1.EnvVar{{Name: "NANTIAN_ZONE", ValueFrom: &corev1.EnvVarSource{
			FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.labels['" + corev1.LabelTopologyZone + "']"}}}},
		Ports:          []corev1.ContainerPort{{Name: "health", ContainerPort: healthPort, Protocol: corev1.ProtocolTCP}},
		Resources:      m.resources(),
		ReadinessProbe: probe("/readyz", 2, 2),
		LivenessProbe:  probe("/healthz", 10, 3),
		VolumeMounts: []corev1.VolumeMount{
			{Name: "xds", MountPath: "/etc/nantian/xds", ReadOnly: true},
			{Name: "data", MountPath: "/var/lib/nantian"},
		},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}
}

func (m *maker) resources() corev1.ResourceRequirements {
	if r := m.g.Config.Resources; r != nil {
		return *r
	}
	return corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi"),
	}}
}

// spread are the constraints, those without a selector about the Gateway's own pods.
func (m *maker) spread() []corev1.TopologySpreadConstraint {
	own := &metav1.LabelSelector{MatchLabels: m.selector()}
	if len(m.g.Config.TopologySpreadConstraints) == 0 {
		return []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: own,
		}}
	}
	var out []corev1.TopologySpreadConstraint
	for _, c := range m.g.Config.TopologySpreadConstraints {
		if c.LabelSelector == nil {
			c.LabelSelector = own
		}
		out = append(out, c)
	}
	return out
}
