package convert

import "io/fs"

// Volume is one -v SRC:DST[:OPTIONS]. An empty Source is an anonymous volume.
type Volume struct {
	Source      string // absolute host path, as the caller sees it
	Destination string // absolute path in the container, before symlinks
	ReadOnly    bool
	Options     []string // podman's: "ro", "noexec", "rslave", "Z", …
	Flag        string   // "-v" where empty
}

// Tmpfs is one --tmpfs DST[:OPTIONS].
type Tmpfs struct {
	Destination string
	Options     []string // as in the runtime-spec: "size=64m", "mode=1777", …
	Flag        string   // "--tmpfs" where empty
}

// ImageVolumes says what becomes of the image's Volumes.
type ImageVolumes string

const (
	SeedVolumes   ImageVolumes = "seed"   // they start with what the image has there; "" is the same
	EmptyVolumes  ImageVolumes = "empty"  // they start empty
	IgnoreVolumes ImageVolumes = "ignore" // they are directories of the image like others
)

// Node names a device to the kernel: type "c" or "b", and its numbers.
type Node struct {
	Type         string
	Major, Minor int64
}

// Device is one --device: a node of the host to be in the container too.
type Device struct {
	Node
	Source   string // absolute host path
	Path     string // absolute path in the container
	Mode     fs.FileMode
	UID, GID uint32
	Access   string // of "rwm"
}

// Sysctl is one --sysctl NAME=VALUE.
type Sysctl struct{ Name, Value string }
