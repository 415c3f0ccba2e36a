package bwrap

import "io/fs"

// Op is one thing that bubblewrap does to the file system of the sandbox.
// Every destination is absolute, clean, and crosses no symlink of what the
// steps before it have made: who builds an Op establishes that (Plan.Check
// holds the part that can be seen from here).
type Op interface {
	// Dest is where in the sandbox the operation takes place.
	Dest() string
	name() string
}

// Bind shows a host file or directory, with everything mounted below it. Dst
// and the way to it are made where they are missing in a Tmpfs or Dev.
type Bind struct {
	Src      string
	Dst      string
	ReadOnly bool // with everything mounted below it
	Devices  bool // device nodes below it work, as with Device
	Attr     Attr
	IDMap    *IDMap // nil for the owners that the files have
}

// IDMap says as whose a bind shows its files: the ids of the file system, Inside,
// as those from Outside on, of the user namespace that bubblewrap is started from
// at first. All others are nobody's, and can't be given to a file. Only a stage
// can have it, whose runner is handed the mount.
type IDMap struct {
	UIDs      []IDMapping `json:"uids,omitempty"`
	GIDs      []IDMapping `json:"gids,omitempty"`
	Path      string      `json:"path,omitempty"`      // of a user namespace with these maps, in their place
	Recursive bool        `json:"recursive,omitempty"` // what is mounted below the source as well
}

// Tmpfs is an empty directory in memory.
type Tmpfs struct {
	Dst      string
	Mode     fs.FileMode // permission bits, set-id and sticky as in fs.FileMode
	Size     int64       // bytes; 0 is the kernel's default, half of the memory
	UID, GID int         // owner, as numbers of the sandbox's user namespace
	Attr     Attr

	// Data are further options of the file system, "nr_inodes=100", for the
	// kernel to judge. bubblewrap has no place for them.
	Data []string
}

// Overlay merges host directories, lowest first, under a layer of its own in
// memory that vanishes with the sandbox. Points are made in that layer, so
// the directories are never written to.
type Overlay struct {
	Lower  []string
	Dst    string
	Points []Point
	Owned  bool        // the caller owns every directory of Lower
	Mode   fs.FileMode // of Dst itself
	Size   int64       // bytes that the layer in memory takes; 0 is half of the memory
	Attr   Attr

	// Owner is Dst's, as numbers of the sandbox's user namespace; nil is that
	// of the topmost directory in Lower. Only a stage can set it.
	Owner *Owner

	// Whiteouts are in Lower as the image-spec or overlayfs writes them, and
	// take effect as either means it.
	Whiteouts []Whiteouts

	// Upper, where it is not empty, is a host directory that keeps the writes:
	// "upper" in it takes the place of the layer in memory, and "work" is
	// overlayfs' own. Only a stage can make its Points.
	Upper string

	// Work, where it is not empty, is overlayfs' own directory, and Upper the
	// upper layer itself, which exists.
	Work string

	// Merged stands for a Lower that is what the steps before show at Dst:
	// the merge of several roots. Only a stage can make it.
	Merged bool
}

// Owner is a file's.
type Owner struct{ UID, GID int }

// Whiteouts are those of the directory Lower[Lower]. Names are relative to it,
// slash-separated.
type Whiteouts struct {
	Lower   int
	Markers []string // files that are whiteouts themselves and not shown
	Hidden  []string // what the directories below have there is not shown
	Opaque  []string // what the directories below have in there is not shown; "." is the root
}

// Point is a mount point or working directory that the image lacks. Path is
// absolute in the sandbox; missing parents are made with mode 0755.
type Point struct {
	Path string
	File bool // an empty file, not a directory
}

// Dir makes a directory; parents that are missing get mode 0755. bubblewrap
// has no place for an owner.
type Dir struct {
	Dst      string
	Mode     fs.FileMode
	UID, GID int
}

// File is a file of the given content, private to the sandbox, mounted as a
// Bind is.
type File struct {
	Dst      string
	Mode     fs.FileMode
	Data     []byte
	ReadOnly bool
	Attr     Attr
}

// Closure is a directory that holds the given store paths and nothing else,
// all of it read-only. It has mode and owner of what it covers.
type Closure struct {
	Dst   string
	Paths []StorePath // sorted by name
}

// StorePath is an entry of a Closure.
type StorePath struct {
	Name string
	Src  string // on the host: a file or directory
	Link string // the target of a symlink, which is made instead
}

// Symlink makes a symbolic link at Dst.
type Symlink struct {
	Target string
	Dst    string
}

// Proc mounts a fresh procfs of the sandbox's pid namespace.
type Proc struct{ Dst string }

// Dev makes a /dev with the standard nodes, its own devpts, and an empty shm.
type Dev struct {
	Dst  string
	Mode fs.FileMode // 0 is 0755
	Size int64       // bytes; 0 is 64 MiB
	Attr Attr        // a /dev takes its devices, whatever this says
	Pts  Pts
}

// Pts are the options of a devpts.
type Pts struct {
	Mode     fs.FileMode // of a new terminal; 0 is 0620
	PtmxMode fs.FileMode // 0 is 0666
	GID      int         // owner of a new terminal, where the user namespace maps it; 0 is the opener's
	Attr     Attr
}

// Mqueue mounts the message queues of the sandbox's ipc namespace.
type Mqueue struct {
	Dst  string
	Attr Attr
}

// Sysfs mounts a fresh sysfs, which shows the devices of the sandbox's network
// namespace. An ordinary user can do so only with one of its own.
// bubblewrap's own options show the host's instead.
type Sysfs struct {
	Dst      string
	ReadOnly bool
	Attr     Attr
}

// Cgroup mounts the control groups of the sandbox's cgroup namespace: the one
// hierarchy of version 2 or, where the host has any of version 1, a directory
// of those. bubblewrap's own options show what a Sysfs around it has.
type Cgroup struct {
	Dst      string
	ReadOnly bool
	Attr     Attr
}

// Node is a device node or fifo in a Dev. Only real root can make devices.
type Node struct {
	Dst          string
	Kind         byte // 'c', 'b' or 'p', as mknod(1) has them
	Major, Minor uint32
	Mode         fs.FileMode
	UID, GID     int
}

// RemountRO makes the mount at Dst, and only that one, read-only.
type RemountRO struct{ Dst string }

func (o Bind) Dest() string      { return o.Dst }
func (o Tmpfs) Dest() string     { return o.Dst }
func (o Overlay) Dest() string   { return o.Dst }
func (o Dir) Dest() string       { return o.Dst }
func (o File) Dest() string      { return o.Dst }
func (o Closure) Dest() string   { return o.Dst }
func (o Symlink) Dest() string   { return o.Dst }
func (o Proc) Dest() string      { return o.Dst }
func (o Dev) Dest() string       { return o.Dst }
func (o Mqueue) Dest() string    { return o.Dst }
func (o Sysfs) Dest() string     { return o.Dst }
func (o Cgroup) Dest() string    { return o.Dst }
func (o Node) Dest() string      { return o.Dst }
func (o RemountRO) Dest() string { return o.Dst }

func (Bind) name() string      { return "bind" }
func (Tmpfs) name() string     { return "tmpfs" }
func (Overlay) name() string   { return "overlay" }
func (Dir) name() string       { return "dir" }
func (File) name() string      { return "file" }
func (Closure) name() string   { return "closure" }
func (Symlink) name() string   { return "symlink" }
func (Proc) name() string      { return "proc" }
func (Dev) name() string       { return "dev" }
func (Mqueue) name() string    { return "mqueue" }
func (Sysfs) name() string     { return "sysfs" }
func (Cgroup) name() string    { return "cgroup" }
func (Node) name() string      { return "node" }
func (RemountRO) name() string { return "remount-ro" }
