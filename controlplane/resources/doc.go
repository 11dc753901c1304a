// Package resources owns the input of the control plane: the Kubernetes objects that it reads, as typed values, indexed in
// an immutable Set, and the decoding of the same objects from YAML.
//
// It imports Kubernetes API types and the schemas that they are held to. It knows no source of objects: files and clusters
// are packages below controlplane/source.
package resources
