// Package v1alpha1 holds the Go types of the kinds in the API group gateway.nantian.dev. The comments on them are the
// reference that users read; the CRDs in the folder above are generated from them.
//
// It imports Kubernetes API types only. The data plane must not reach it.
//
// +kubebuilder:object:generate=true
// +groupName=gateway.nantian.dev
package v1alpha1

//go:generate controller-gen object paths=. crd output:crd:dir=..
