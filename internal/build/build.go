// Package build says which build of the program this is.
package build

import "runtime/debug"

// Version is set by the linker (-X); a build without it says "devel".
var Version = "devel"

// GatewayAPI is the version of the Gateway API that the program implements.
const GatewayAPI = "v1.6.3"

// Commit is the commit that the program was built from; empty when it is not known.
func Commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return commit
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return commit
}

// commit is set by the linker where the build does not stamp it.
var commit string
