// Package xdsv1 is the contract between the control plane and the data plane: the messages of the wire, the keys that name
// them and the rules that they must keep.
//
// It imports the protobuf runtime only, so that another control plane or data plane can be built on it alone.
package xdsv1
