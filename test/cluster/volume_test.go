package cluster_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// file is the URL by which a pod of the tests shows a file.
func file(p *corev1.Pod, path string) string {
	return "http://" + p.Status.PodIP + ":8080/file?path=" + url.QueryEscape(path)
}

func TestVolumes(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, shared)
	apply(t, shared, ns, `
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: NS, labels: {color: red}}
spec:
  securityContext: {runAsUser: 1234, runAsGroup: 1235, fsGroup: 1236}
  containers:
    - name: c
      image: example.com/pod
      env:
        - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
        - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
        - {name: KEY, valueFrom: {secretKeyRef: {name: s, key: key}}}
        - {name: NONE, valueFrom: {secretKeyRef: {name: none, key: key, optional: true}}}
        - {name: BOTH, value: "$(NODE)-$(KEY)-$(NOTHING)"}
      envFrom: [{configMapRef: {name: m}, prefix: M_}]
      volumeMounts:
        - {name: secret, mountPath: /secret}
        - {name: map, mountPath: /map}
        - {name: map, mountPath: /one/file.conf, subPath: conf}
        - {name: down, mountPath: /down}
        - {name: empty, mountPath: /empty}
  volumes:
    - {name: secret, secret: {secretName: s}}
    - {name: map, configMap: {name: m, items: [{key: conf, path: a/b.conf}, {key: conf, path: conf}]}}
    - {name: down, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
    - {name: empty, emptyDir: {}}
`)
	awaitPod(t, shared, ns, "p", "waiting for its volumes", func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].State.Waiting != nil &&
			strings.Contains(p.Status.ContainerStatuses[0].State.Waiting.Message, `"s" not found`)
	})
	const config = `
apiVersion: v1
kind: ConfigMap
metadata: {name: m, namespace: NS}
data: {conf: one}
---
apiVersion: v1
kind: Secret
metadata: {name: s, namespace: NS}
stringData: {key: SECRET}
`
	apply(t, shared, ns, strings.ReplaceAll(config, "SECRET", "first"))
	p := ready(t, shared, ns, "p")
	base := "http://" + p.Status.PodIP + ":8080"
	for name, want := range map[string]string{"NODE": "node", "IP": p.Status.PodIP, "KEY": "first", "BOTH": "node-first-$(NOTHING)", "M_conf": "one", "NONE": ""} {
		expect(t, base+"/env?name="+name, want)
	}
	expect(t, base+"/id", "1234 1235 1")
	for path, want := range map[string]string{
		"/secret/key": "first", "/map/a/b.conf": "one", "/one/file.conf": "one", "/down/labels": `color="red"`,
	} {
		expect(t, file(p, path), want)
	}
	expect(t, base+"/write?path=/empty/x", "")
	for _, path := range []string{"/secret/key2", "/x"} {
		if _, err := ask(within(t), base+"/write?path="+path); err == nil {
			t.Errorf("%s can be written by a user who is not root", path)
		}
	}
	apply(t, shared, ns, strings.ReplaceAll(strings.ReplaceAll(config, "one", "two"), "SECRET", "second"))
	expect(t, file(p, "/secret/key"), "second")
	expect(t, file(p, "/map/a/b.conf"), "two")
	expect(t, file(p, "/one/file.conf"), "one") // as with a kubelet: what is mounted by a subPath is not updated
	p2 := p.DeepCopy()
	p2.Labels["color"] = "blue"
	if _, err := shared.Client().CoreV1().Pods(ns).Update(within(t), p2, metav1UpdateOptions); err != nil {
		t.Fatal(err)
	}
	expect(t, file(p, "/down/labels"), `color="blue"`)
}

func TestServiceAccountTokens(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, shared)
	apply(t, shared, ns, `
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: NS}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: NS}
rules: [{apiGroups: [""], resources: [secrets], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: NS}]
---
apiVersion: v1
kind: Secret
metadata: {name: seen, namespace: NS}
---
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: NS}
spec:
  serviceAccountName: reader
  containers: [{name: c, image: example.com/pod}]
`)
	p := ready(t, shared, ns, "p")
	base := "http://" + p.Status.PodIP + ":8080"
	expect(t, base+"/secrets?namespace="+ns, "seen")
	if got, err := ask(within(t), base+"/secrets?namespace=kube-system"); err == nil || !strings.Contains(err.Error(), "forbidden") {
		t.Errorf("Secrets of another namespace: %q, %v", got, err)
	}
	token := file(p, "/var/run/secrets/kubernetes.io/serviceaccount/token")
	first, err := ask(within(t), token)
	if err != nil || first == "" {
		t.Fatal(first, err)
	}
	eventually(t, func(ctx context.Context) error {
		now, err := ask(ctx, token)
		if err == nil && (now == first || now == "") {
			err = fmt.Errorf("the token is not renewed")
		}
		return err
	})
	expect(t, base+"/secrets?namespace="+ns, "seen")
	expect(t, file(p, "/var/run/secrets/kubernetes.io/serviceaccount/namespace"), ns)
}
