// Package conformance runs the Gateway API's own conformance suite, unmodified, against what users install into a cluster:
// deploy/nantian.yaml in a real cluster (package test/cluster), its controller and the data planes that it provisions as pods.
// The report is kept in docs/conformance.
//
// Package test/features runs the same tests without a cluster, in less time.
package conformance
