package parity

import (
	"slices"
	"strings"
)

// rows are all differences that are known. A row is no wider than what it
// explains: what a process notices of a mount beyond its type and options
// (owners, modes, content, whether it can be written to) is compared for
// itself.
var rows = [...][]Row{ownRows[:], runtimeRows[:], podmanRows[:]}

// ownRows are what this tool does otherwise than all of the others.
var ownRows = [...]Row{
	{
		Name: "file system of the root", Field: "root.path",
		Why:   "the image's files are shown by an overlay or a bind; the reference has a copy of them on the host's file system, or an overlay of its own",
		match: at(mountGroup, []string{"type", "file system"}, "/"),
	},
	{
		Name: "root without devices and set-id", Field: "root.path",
		Why:   "the root is nosuid and nodev",
		match: and(at(mountGroup, []string{"options"}, "/"), moreOptions("nosuid", "nodev")),
	},
	{
		Name: "seeded directories", Field: "config.Volumes",
		Why:   "a directory that starts with the image's content is an overlay of it; runtimes copy into a tmpfs, podman into a directory of its storage",
		match: seeded,
	},
	{
		Name: "store paths", Field: "root.path",
		Why: "an image of a Nix store has its paths shown where they lie, each a read-only mount; the reference has them as files of its root. What is in them is compared for itself",
		match: func(d Difference, c *comparison) bool {
			path := d.at
			if d.Group == "writable" && d.Ours == "EROFS" {
				path = d.Name
			}
			return d.Theirs == Absent && within(path, store) && hasOption(c.mountAt(0, path).Options, "ro")
		},
	},
	{
		Name: "volumes from the store", Field: "config.Volumes",
		Why: "the store takes all rights to write from directories; a volume that the image has from there is the user's here, mode 0755",
		match: func(d Difference, c *comparison) bool {
			return d.Group == "tree" && c.mountAt(0, store).Path != "" && c.mountAt(0, d.Path).Type == "overlay" &&
				(d.aspect == "mode" && d.Ours == "0755" && d.Theirs == "0555" || d.aspect == "owner" && d.Ours == c.user() && d.Theirs == "0:0")
		},
	},
	{
		Name: "owners of the store's files", Field: "linux.uidMappings[].hostID", User: true,
		Why: "the store is the host's root's, who is not in the user namespace; the reference has copies that are the container's root's",
		match: func(d Difference, c *comparison) bool {
			return d.Group == "tree" && d.aspect == "owner" && d.Ours == unmapped && d.Theirs == "0:0" && c.mountAt(0, store).Path != ""
		},
	},
	{
		Name: "files in /etc", Field: "mounts[].source",
		Why:   "they are files in memory; runtimes bind the host's or one of the bundle's",
		match: at(mountGroup, []string{"type", "file system", "options"}, slices.Concat(etcFiles, accountFiles)...),
	},
	{
		Name: "modes and owners of the files in /etc", Field: "mounts[].source",
		Why: "a copy has mode 0644 and is the container's, a bound file is as it is on the host",
		match: func(d Difference, _ *comparison) bool {
			return d.Group == "tree" && slices.Contains(etcFiles, d.at) &&
				(d.aspect == "mode" && d.Ours == "0644" || d.aspect == "owner" && d.Theirs == unmapped)
		},
	},
	{
		Name: "masks", Field: "linux.maskedPaths",
		Why:   "both cover the path, by a device node or an empty directory of another file system; that it can't be read is compared for itself",
		match: masked,
	},
	{
		Name: "read-only twice", Field: "linux.readonlyPaths",
		Why: "bubblewrap covers some directories of /proc itself",
		match: func(d Difference, _ *comparison) bool {
			return d.Group == mountGroup && strings.HasPrefix(d.at, "/proc/") && strings.HasSuffix(d.at, " #2") &&
				d.Theirs == Absent && strings.HasPrefix(d.Ours, "proc ") && hasOption(d.Ours, "ro")
		},
	},
	{
		Name: "device nodes", Field: "linux.devices",
		Why: "a node is the host's, bound without set-id: only root can make one",
		match: func(d Difference, c *comparison) bool {
			return d.Group == mountGroup && slices.Contains(nodes, d.at) && c.mountAt(0, d.at).Type == "devtmpfs" &&
				(d.Theirs == Absent || d.aspect == "options" && sameBut(d, "nosuid", "noexec"))
		},
	},
	{
		Name: "standard streams", Field: "process.terminal",
		Why: "the caller's are passed as they are; the reference puts pipes or a /dev/null of its own between",
		match: func(d Difference, _ *comparison) bool {
			const null = "c 1:3, read"
			return d.Group == "descriptors" && (d.Name == "0" && strings.HasPrefix(d.Ours, null) && strings.HasPrefix(d.Theirs, null) ||
				slices.Contains([]string{"0", "1", "2"}, d.Name) && strings.HasPrefix(d.Theirs, "p, "))
		},
	},
	{
		Name: "nested id maps", Field: "linux.uidMappings[].containerID", User: true,
		Why: "bubblewrap's user namespace lies in another of the caller's, which is what a map's middle column counts in",
		match: func(d Difference, _ *comparison) bool {
			return d.Group == "process" && slices.Contains([]string{"uid_map", "gid_map"}, d.Name) && inner(d.Ours) == inner(d.Theirs)
		},
	},
	{
		Name: "a single id", Field: "linux.uidMappings[].size", User: true,
		Why:   "with --userns single, or without subordinate ids, every file is the process's own and groups stay the caller's",
		match: singleID,
	},
	{
		Name: "cgroups", Field: "linux.cgroupsPath",
		Why:   "the sandbox stays in the caller's cgroup and shows the host's tree, read-only; an engine makes one and shows that",
		match: cgroups,
	},
	{
		Name: "/sys twice", Field: "mounts[].type", User: true,
		Why: "a user's sandbox with a network of its own has the sysfs of that over another; the upper one is read-only as a mount, not as a file system",
		match: func(d Difference, c *comparison) bool {
			upper := c.mountAt(0, "/sys #2")
			return d.Group == mountGroup && upper.Type == "sysfs" && hasOption(upper.Options, "ro") &&
				(d.at == "/sys #2" && d.Theirs == Absent || d.at == "/sys" && d.aspect == "file system" && d.Ours == "rw" && d.Theirs == "ro")
		},
	},
	{
		Name: "file systems below /sys", Field: "mounts[].type",
		Why:   "the host's /sys is shown, read-only, with what is mounted in it",
		match: belowSys,
	},
}

// Rows gives the table, for the manual.
func Rows() []Row { return slices.Concat(rows[:]...) }

// store is where Nix has its paths.
const store = "/nix/store"

// unmapped is the owner of files whose ids a user namespace does not map.
const unmapped = "65534:65534"

var (
	etcFiles = []string{"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"}

	// accountFiles are shown with a user whom the image lacks.
	accountFiles = []string{"/etc/group", "/etc/passwd"}

	nodes = []string{"/dev/full", "/dev/null", "/dev/random", "/dev/tty", "/dev/urandom", "/dev/zero"}
)
