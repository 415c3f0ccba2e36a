// Package convert turns an OCI image config into a runtime Spec, and a Spec
// into a bubblewrap plan. It is pure: it sees the image's files through
// Rootfs.FS and the host through Host, and the same input gives the same
// output, byte for byte.
package convert

import (
	"io/fs"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// Options are the wishes of the command line, in podman's terms. The zero
// value is the documented default of every one.
type Options struct {
	Command    []string // replaces Cmd when not nil
	Entrypoint []string // replaces Entrypoint and drops Cmd when not nil; empty clears it
	Env        []string // NAME=VALUE, after the image's, last wins
	UnsetEnv   []string // names of the image's variables, and of those that are added, to be left out; "*" is all
	Workdir    string   // replaces WorkingDir
	User       string   // replaces User, same syntax
	Groups     []string // more groups of the user, by name or number
	Caller     *Account // is given lines in the image's passwd and group, as --userns keep-id does
	NoAccounts bool     // the image keeps its own passwd and group
	Hostname   string
	Network    Network
	AddHosts   []HostEntry // --add-host
	NoHosts    bool        // the image keeps its own /etc/hosts
	NoHostname bool        // and its own /etc/hostname
	DNS        []string    // name servers instead of the host's; "none" alone keeps the image's resolv.conf
	DNSSearch  []string    // instead of the host's; "." is none
	DNSOptions []string    // instead of the host's

	Resources *specs.LinuxResources // limits; nil for none

	PastaOptions []string // added to pasta's with NetworkPasta
	Publish      []Port   // -p; with NetworkPasta only

	Volumes      []Volume     // -v
	Tmpfs        []Tmpfs      // --tmpfs
	Devices      []Device     // --device
	Sysctl       []Sysctl     // --sysctl
	ImageVolumes ImageVolumes // --volumes
	Writable     bool         // a root that may be written; the writes vanish
	NoScratch    bool         // /tmp, /run and /var of a read-only root are read-only too
	ShmSize      int64        // bytes of /dev/shm; 64 MiB where 0, no limit below that

	Labels      map[string]string // over the image's
	Annotations map[string]string // of the Spec, over all labels
	Terminal    bool
	Term        string // TERM of a Terminal; "xterm" where empty
	StopSignal  string // replaces StopSignal

	Rlimits     []specs.POSIXRlimit // --ulimit; what is not named is the caller's
	Umask       *uint32             // 0022 where nil
	OOMScoreAdj *int                // the caller's where nil

	CapAdd, CapDrop []string // capabilities, with or without CAP_, in any case, or "ALL"
	Seccomp         Seccomp
	Mask, Unmask    []string // paths beside the usual ones, and of those none; "ALL" is all
}

// Network names the network namespace of the sandbox.
type Network string

const (
	NetworkHost Network = "" // the caller's own
	NetworkNone Network = "none"

	// NetworkPasta is one of the sandbox's own, which pasta connects to the
	// host's once the sandbox is created: see Result.Pasta.
	NetworkPasta Network = "pasta"
)

// Host is what the conversion may know of the machine and the caller.
type Host struct {
	UID, GID int    // the caller's effective ids; UID 0 is real root
	Hostname string // the kernel's node name
	Kernel   string // its release, "6.1.0-18-amd64"; "" counts as new

	// Capabilities are those that the caller's bounding set holds, as
	// far as it has been asked for; nil means all. In a user namespace of
	// its own a sandbox has all in any case.
	Capabilities []string

	// Confined says that the caller, whatever its UID, is no real root: its
	// rights end at what a user namespace maps.
	Confined bool

	// Address is the host's first IPv4 address that is not loopback, Gateway
	// its IPv4 default gateway; "" where there is none.
	Address, Gateway string

	// Mapped is set where that namespace maps several ids and the caller is
	// root of it. Otherwise a sandbox of a confined caller has a user namespace
	// of its own, in which a single id is mapped.
	Mapped *Mapped

	// Joined are the paths of the namespaces, of those that the Spec names, that
	// the caller has been started in for it: of users and time, which the kernel
	// lets none but a process without threads join, and before a user namespace
	// is made whose root could not, those of others.
	Joined map[string]bool

	// Cgroup says where the limits of a Spec can be set.
	Cgroup Cgroup

	// Files holds the host files whose content the container shows, keyed by
	// absolute path: /etc/resolv.conf, /etc/hosts, /etc/hostname and
	// ResolverFiles where they exist.
	Files map[string][]byte

	// Paths holds what exists below the host's /proc, /sys and /dev, of the
	// paths that a Spec may mask, make read-only or bind.
	Paths map[string]fs.FileMode

	// Denied says of those of these paths that the caller can't reach why:
	// `1000:1000 can't search "/root"`. They may exist.
	Denied map[string]string

	// Rlimits are the caller's limits by their names ("RLIMIT_NOFILE"), where a
	// Spec has some, and OOMScoreAdj is what it has in their place of memory.
	// Resource says that it may go beyond them: CAP_SYS_RESOURCE in the first
	// user namespace.
	Rlimits     map[string]Rlimit
	OOMScoreAdj int
	Resource    bool

	// Devices holds the host's devices, of the paths that a Spec names as such
	// or binds.
	Devices map[string]Node

	// IDMapped says why a bind can't have its IDMap (see IDMapped), nil where it
	// can. Where the function is nil, none can.
	IDMapped func(bwrap.Bind) error

	// Dir opens a view of a host directory that is bound into the container,
	// so that destinations below it can be resolved.
	Dir func(path string) (fs.ReadLinkFS, error)

	// Over is the view of an overlay: the host directory upper on lower.
	Over func(upper string, lower fs.ReadLinkFS) fs.ReadLinkFS
}

// Mapped is a user namespace that a sandbox is started from and stays in.
type Mapped struct {
	UIDs, GIDs []specs.LinuxIDMapping // hostID is the id in the namespace around it

	// Own says that it was made for this sandbox, so that the Spec names it.
	Own bool
}

// Rootfs is what the conversion knows of the image's files.
type Rootfs struct {
	Dirs []string      // absolute host directories, lowest first; merged they are the root
	FS   fs.ReadLinkFS // the merged view

	// Upper is the host directory that keeps what is written to the root, and
	// shows what was; empty where writes vanish. FS shows it.
	Upper string

	// Views are those of each of Dirs, where they are several and hold no
	// whiteouts: what takes the merge apart where nothing can make it.
	Views []fs.ReadLinkFS

	// Whiteouts are those in Dirs, where Dirs are layers.
	Whiteouts []bwrap.Whiteouts

	// Owned says that the caller owns every directory below Dirs, so that
	// mount points can be made on an overlay of them without privilege.
	Owned bool

	// Store, if not nil, is what the root shows in StoreDir.
	Store *Store

	// Owner tells the owner of a file of FS, as numbers inside the container.
	// nil means that everything belongs to 0:0.
	Owner func(fs.FileInfo) (uid, gid int)
}

// Note is something the user should know that is no failure: an entry of the
// config that was left out, a field that is honoured in part.
type Note struct {
	Field string // where it stands: "config.Env[3]", "process.noNewPrivileges"
	Text  string
}

// Gap is a wish of the image or Spec that this host or bubblewrap can't
// honour.
type Gap struct {
	Field  string // the Spec's field: "linux.resources.memory"
	Effect Effect
	Reason string
	Remedy string // "" where there is none
}

// Effect is what is lost by a Gap.
type Effect string

const (
	Weakens Effect = "weakens isolation" // fatal unless the field is allowed
	Lacks   Effect = "not available"     // listed; fatal under --strict
)
