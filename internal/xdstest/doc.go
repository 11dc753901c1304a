// Package xdstest holds the tests that join both ends of the wire: the control plane's server and the data plane's client,
// over gRPC. It has no code of its own; one file is one behaviour.
package xdstest
