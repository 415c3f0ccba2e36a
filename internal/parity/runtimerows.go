package parity

import (
	"strings"
)

// runtimeRows are habits of runc and crun, of which podman starts one.
var runtimeRows = [...]Row{
	{
		Name: "/dev/core", Field: "linux.devices", Engines: []string{"runc", "podman"},
		Why:   "runc makes no such link; crun and bubblewrap do, and where it leads is masked",
		match: fact("devices", "/dev/core", "l -> /proc/kcore", Absent),
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
		Name: "flags of read-only paths", Field: "linux.readonlyPaths", Engines: []string{"crun"},
		Why: "crun's bind mounts of them lose nosuid, nodev and noexec",
		match: func(d Difference, c *comparison) bool {
			return d.Group == mountGroup && strings.HasPrefix(d.at, "/proc/") && d.aspect == "options" &&
				hasOption(d.Theirs, "ro") && moreOptions("nosuid", "nodev", "noexec")(d, c)
		},
	},
	{
		Name: "flags of id-mapped mounts", Field: "mounts[].uidMappings", Engines: []string{"crun"},
		Why: "crun 1.8 makes them without nosuid, nodev and noexec where they can be written to",
		match: func(d Difference, c *comparison) bool {
			return d.Group == mountGroup && d.aspect == "options" && hasOption(d.Theirs, "idmapped") && moreOptions("nosuid", "nodev", "noexec")(d, c)
		},
	},
	{
		Name: "read-only sysfs", Field: "mounts[].options", Engines: []string{"crun"},
		Why: "crun makes a sysfs of the container's own read-only as a mount, not as a file system, so that who may not write is told that first",
		match: func(d Difference, c *comparison) bool {
			if !hasOption(c.mountAt(1, "/sys").Options, "ro") {
				return false
			}
			return d.Group == mountGroup && d.at == "/sys" && d.aspect == "file system" && d.Ours == "ro" && d.Theirs == "rw" ||
				d.Group == "kernel paths" && within(d.Name, "/sys") && d.Ours != d.Theirs && d.Ours == strings.Replace(d.Theirs, "write EACCES", "write EROFS", 1)
		},
	},
	{
		Name: "modes of tmpcopyup", Field: "mounts[].options", Engines: []string{"crun"},
		Why:   "crun 1.8 leaves a tmpfs that it copies to the kernel's mode, 1777, where no mode= says another, and makes a mount point that the image lacks 1755",
		match: ownModes,
	},
	{
		Name: "umask of tmpcopyup", Field: "mounts[].options", Engines: []string{"runc", "podman"},
		Why: "runc makes the copies of directories by mkdir alone, under its umask: what that takes away, and the set-id bits, are not given back",
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
}
