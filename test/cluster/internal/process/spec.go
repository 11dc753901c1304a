// Package process runs a container as a local process: with a PID, mount, IPC and UTS namespace of its own, in the network
// namespace of its pod, and with a root directory that holds its program, its volumes and what the kernel offers, no more; as an
// image that is built from scratch would have it.
//
// A container begins as this program itself ("cluster container"), which prepares the namespaces from the inside and then becomes
// the container's program. It is process 1 of its namespace: when it ends, the kernel ends all that it started.
package process

// Spec is what a container is made of. All paths but those of Mount.Target, Args and Dir are of the node.
type Spec struct {
	// Root is an empty directory, which becomes the root directory.
	Root     string
	Mounts   []Mount
	Hostname string
	// Args are the command line; the first is a path in the container.
	Args []string
	Env  []string
	// Dir is the working directory, / if empty.
	Dir string

	UID, GID int
	Groups   []int
	// ReadOnlyRoot makes all but volumes read-only.
	ReadOnlyRoot bool
	// NoNewPrivileges is the kernel's flag of that name.
	NoNewPrivileges bool
	// Capabilities are the numbers of those that the container may have. A container that is not root has none.
	Capabilities []int
}

// Mount is a file or directory of the node that the container sees.
type Mount struct {
	Source, Target string
	ReadOnly       bool
}

// Commands are names of this program's subcommands that package process starts.
const (
	ContainerCommand = "container"
	ExecCommand      = "exec"
)

// File descriptors that the subcommands inherit.
const (
	specFD   = 3
	statusFD = 4
	netFD    = 5
)
