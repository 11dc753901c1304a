// Package fields reads the values that a Pod offers to its own containers (the downward API) and makes their environment.
package fields

import (
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Value is the value of a fieldRef, by the paths that the API server lets through.
func Value(p *corev1.Pod, path string) (string, error) {
	if m, key, ok := subscript(path); ok {
		switch m {
		case "metadata.labels":
			return p.Labels[key], nil
		case "metadata.annotations":
			return p.Annotations[key], nil
		}
		return "", fmt.Errorf("fieldRef %s: expected labels or annotations", path)
	}
	switch path {
	case "metadata.name":
		return p.Name, nil
	case "metadata.namespace":
		return p.Namespace, nil
	case "metadata.uid":
		return string(p.UID), nil
	case "metadata.labels":
		return lines(p.Labels), nil
	case "metadata.annotations":
		return lines(p.Annotations), nil
	case "spec.nodeName":
		return p.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return p.Spec.ServiceAccountName, nil
	case "status.hostIP", "status.hostIPs":
		return p.Status.HostIP, nil
	case "status.podIP", "status.podIPs":
		return p.Status.PodIP, nil
	}
	return "", fmt.Errorf("fieldRef %s: no such field", path)
}

// subscript splits metadata.labels['KEY'].
func subscript(path string) (m, key string, ok bool) {
	m, rest, ok := strings.Cut(path, "['")
	if !ok {
		return "", "", false
	}
	key, ok = strings.CutSuffix(rest, "']")
	return m, key, ok
}

// lines is a map in the format of downward API volumes: key="value", in order of keys.
func lines(m map[string]string) string {
	out := make([]string, 0, len(m))
	for k, v := range m {
		out = append(out, k+"="+strconv.Quote(v))
	}
	sort.Strings(out)
	return strings.Join(out, "\n")
}

// Resource is the value of a resourceFieldRef: a request or limit in units of the divisor, rounded up. A limit that is not set is 0
// here, where a kubelet gives the node's capacity: the node has no figures of its own.
func Resource(p *corev1.Pod, container string, ref *corev1.ResourceFieldSelector) (string, error) {
	if ref.ContainerName != "" {
		container = ref.ContainerName
	}
	r, err := resources(p, container)
	if err != nil {
		return "", err
	}
	kind, name, _ := strings.Cut(ref.Resource, ".")
	list := r.Requests
	if kind == "limits" {
		list = r.Limits
	}
	q := list[corev1.ResourceName(name)]
	divisor := ref.Divisor
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	return strconv.FormatInt(int64(math.Ceil(q.AsApproximateFloat64()/divisor.AsApproximateFloat64())), 10), nil
}

func resources(p *corev1.Pod, container string) (corev1.ResourceRequirements, error) {
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			if list[i].Name == container {
				return list[i].Resources, nil
			}
		}
	}
	return corev1.ResourceRequirements{}, fmt.Errorf("resourceFieldRef: no container %q", container)
}
