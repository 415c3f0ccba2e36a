package parity

import (
	"slices"
	"strings"
)

// rows are all differences that are known. A row is no wider than what it
// explains: what a process notices of a mount beyond its type and options
// (owners, modes, content, whether it can be written to) is compared for
// itself.
var rows = [...]Row{
	{
		Name: "new privileges", Field: "process.noNewPrivileges", Engines: []string{"podman", "buildah"},
		Why:   "bubblewrap always sets no_new_privs, and the Spec says so; podman leaves it off",
		match: fact("process", "no_new_privs", "1", "0"),
	},
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
		Name: "files in /etc", Field: "mounts[].source",
		Why:   "they are files in memory; runtimes bind the host's or one of the bundle's",
		match: at(mountGroup, []string{"type", "file system", "options"}, etcFiles...),
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
		Name: "/dev/core", Field: "linux.devices", Engines: []string{"runc", "podman"},
		Why:   "runc makes no such link; crun and bubblewrap do, and where it leads is masked",
		match: fact("devices", "/dev/core", "l -> /proc/kcore", Absent),
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
		Name: "open files", Field: "process.rlimits[].type", Engines: []string{"runc"},
		Why: "a runc that was built with Go before 1.21 gives the hard limit for the soft one",
		match: func(d Difference, _ *comparison) bool {
			soft, hard, _ := strings.Cut(d.Theirs, " ")
			return d.Group == "limits" && d.Name == "nofile" && soft == hard && strings.HasSuffix(d.Ours, " "+hard)
		},
	},
	{
		Name: "/sys/kernel", Field: "linux.maskedPaths", Engines: []string{"podman"}, User: true,
		Why: "podman masks it where /sys is the host's",
		match: func(d Difference, c *comparison) bool {
			const dir = "/sys/kernel"
			return slices.Contains([]string{"kernel paths", "writable", mountGroup}, d.Group) && within(d.Name, dir) && c.mountAt(1, dir).Type == "tmpfs"
		},
	},
	{
		Name: "owners of tmpcopyup", Field: "mounts[].options", Engines: []string{"podman"}, User: true,
		Why: "a runc in podman's user namespace gives directories that it copies to an owner that is not mapped",
		match: func(d Difference, c *comparison) bool {
			return d.aspect == "owner" && d.Theirs == unmapped && c.onTmpfs(1, d)
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
		Name: "limits", Field: "process.rlimits[].type", Engines: []string{"podman"},
		Why: "podman sets limits of open files and processes of its own where no flag does",
		match: func(d Difference, _ *comparison) bool {
			return d.Group == "limits" && slices.Contains([]string{"nofile", "nproc"}, d.Name)
		},
	},
	{
		Name: "flags of read-only paths", Field: "linux.readonlyPaths", Engines: []string{"crun"},
		Why: "crun's bind mounts of them lose nosuid, nodev and noexec",
		match: func(d Difference, c *comparison) bool {
			return d.Group == mountGroup && strings.HasPrefix(d.at, "/proc/") && d.aspect == "options" &&
				hasOption(d.Theirs, "ro") && moreOptions("nosuid", "nodev", "noexec")(d, c)
		},
	},
	{
		Name: "modes of tmpcopyup", Field: "mounts[].options", Engines: []string{"crun"},
		Why: "crun 1.8 makes a tmpfs that it copies to sticky, 1777 without mode=, and so the directories that it makes on the way",
		match: func(d Difference, c *comparison) bool {
			if !c.onTmpfs(1, d) {
				return false
			}
			return d.aspect == "mode" && (d.Theirs == "01777" || d.Theirs == "01"+strings.TrimPrefix(d.Ours, "0")) ||
				d.Group == "writable" && d.Ours == "EACCES" && d.Theirs == "ok"
		},
	},
	{
		Name: "umask of tmpcopyup", Field: "mounts[].options", Engines: []string{"runc", "podman"},
		Why: "runc 1.1 copies directories under its umask, and without their set-id bits",
		match: func(d Difference, c *comparison) bool {
			if !c.onTmpfs(1, d) {
				return false
			}
			return d.aspect == "mode" && lost(d.Ours, d.Theirs)&^0o6022 == 0 || d.Group == "writable" && d.Ours == "ok" && d.Theirs == "EACCES"
		},
	},
	{
		Name: "owner of /dev/null", Field: "process.user.uid", Engines: []string{"crun"},
		Why: "crun gives the standard streams to the container's user, and with them the node that one of them is",
		match: func(d Difference, c *comparison) bool {
			return d.Group == "devices" && d.Name == "/dev/null" && strings.Replace(d.Theirs, c.user(), "0:0", 1) == d.Ours
		},
	},
	{
		Name: "mode= and tmpcopyup", Field: "mounts[].options", Engines: []string{"runc", "podman"},
		Why: "runc gives a tmpfs that it copies to the mode of the image's directory, whatever mode= says",
		match: func(d Difference, _ *comparison) bool {
			return d.Group == "tree" && d.at == "/tmp" && d.aspect == "mode" && d.Ours == "01777"
		},
	},
	{
		Name: "cgroups", Field: "linux.cgroupsPath",
		Why:   "the sandbox stays in the caller's cgroup and shows the host's tree, read-only; an engine makes one and shows that",
		match: cgroups,
	},
	{
		Name: "file systems below /sys", Field: "mounts[].type",
		Why:   "the host's /sys is shown, read-only, with what is mounted in it",
		match: belowSys,
	},
	{
		Name: "chroot isolation", Field: "linux.namespaces[].type", Engines: []string{"buildah"},
		Why:   "it is a chroot in mount, uts and network namespaces, with the host's devices and processes and a writable root: what can be compared is the process, its environment, ids and capabilities, and the files",
		match: chrootIsolation,
	},
	{
		Name: "seccomp profile", Field: "linux.seccomp.defaultAction", Engines: []string{"podman", "buildah"},
		Why: "the Spec has docker's profile, podman its own: of the two each lets some calls through that the other refuses",
		match: func(d Difference, _ *comparison) bool {
			refused := []string{"EPERM", "ENOSYS", "EINVAL"}
			return d.Group == "system calls" && (slices.Contains(refused, d.Ours) || slices.Contains(refused, d.Theirs))
		},
	},
	{
		Name: "container=", Field: "config.Env", Engines: []string{"podman"},
		Why:   "it names the tool",
		match: fact("environment", "container", "oci2bwrap", "podman"),
	},
	{
		Name: "what podman adds", Field: "root.readonly", Engines: []string{"podman"},
		Why: "/var/tmp is a tmpfs with --read-only, /etc/mtab a link, and the root directory of an image that has no entry for it 0555",
		match: func(d Difference, _ *comparison) bool {
			switch d.Group {
			case "writable":
				return d.Name == "/var/tmp"
			case mountGroup:
				return d.at == "/var/tmp" && d.Ours == Absent
			}
			return d.Path == "/etc/mtab" && d.Ours == Absent && d.Theirs == "link 0:0 /proc/mounts" ||
				d.Path == "/var/tmp" && d.Ours == Absent || d.Path == "/" && d.aspect == "mode" && d.Theirs == "0555"
		},
	},
	{
		Name: "end of /etc/hostname", Field: "hostname", Engines: []string{"podman"},
		Why: "podman writes no newline",
		match: func(d Difference, c *comparison) bool {
			const file = "/etc/hostname"
			same := c.our("files", file) == c.their("files", file)+`\n`
			return same && (d.Group == "files" && d.Name == file || d.Path == file && d.aspect == "content")
		},
	},
	{
		Name: "own group", Field: "process.user.additionalGids", Engines: []string{"podman", "buildah"},
		Why: "podman and buildah have the user's first group among the further ones as well",
		match: func(d Difference, c *comparison) bool {
			_, gid, _ := strings.Cut(c.user(), ":")
			theirs := slices.DeleteFunc(strings.Fields(d.Theirs), func(g string) bool { return g == gid })
			return d.Group == "ids" && d.Name == "groups" && slices.Equal(strings.Fields(d.Ours), theirs)
		},
	},
	{
		Name: "owner of the working directory", Field: "process.cwd", Engines: []string{"podman"},
		Why: "podman gives one that the image lacks to the user",
		match: func(d Difference, c *comparison) bool {
			return d.Path != "" && d.Path == c.our("process", "cwd") && d.aspect == "owner" && d.Theirs == c.user() ||
				d.Group == "writable" && (d.Name == "working directory" || d.Name == c.our("process", "cwd")) && d.Theirs == "ok" && d.Ours == "EACCES"
		},
	},
	{
		Name: "size of /dev/shm", Field: "mounts[].options", Engines: []string{"podman"},
		Why: "podman's 64 MB are 64000 KiB, the Spec's 65536",
		match: func(d Difference, _ *comparison) bool {
			return d.Group == mountGroup && d.at == "/dev/shm" && d.aspect == "file system" && strings.Contains(d.Theirs, "size=64000k")
		},
	},
	{
		Name: "cgroup namespace", Field: "linux.namespaces[].type", Engines: []string{"podman"},
		Why:   "podman leaves the host's where the host has cgroups of version 1",
		match: fact("namespaces", "cgroup", "its own", "the caller's"),
	},
}

// Rows gives the table, for the manual.
func Rows() []Row { return slices.Clone(rows[:]) }

// unmapped is the owner of files whose ids a user namespace does not map.
const unmapped = "65534:65534"

var (
	etcFiles = []string{"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"}
	nodes    = []string{"/dev/full", "/dev/null", "/dev/random", "/dev/tty", "/dev/urandom", "/dev/zero"}
)
