package xdsv1

import "google.golang.org/protobuf/reflect/protoreflect"

// Level is the schema level of this version. It is raised with a release that adds a field, an arm of a oneof or an enum
// value that a data plane has to understand. A data plane tells its level; the control plane withholds what is newer, and
// what that would have protected fails closed.
const Level uint32 = 1

// since are the fields and enum values that came after level 1, by their full names.
var since = map[protoreflect.FullName]uint32{}

// Since is the level that brought a field or enum value, for example "nantian.gateway.v1.Filter.cors".
func Since(name protoreflect.FullName) uint32 { return max(since[name], 1) }
