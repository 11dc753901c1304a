// Package crds holds the CustomResourceDefinitions of the group gateway.nantian.dev, generated from package v1alpha1.
package crds

import "embed"

// Files are the CustomResourceDefinitions, one file each.
//
//go:embed *.yaml
var Files embed.FS
