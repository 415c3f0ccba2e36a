package parity

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// podmanRows are what podman and buildah set up otherwise than the Spec has it.
var podmanRows = [...]Row{
	{
		Name: "new privileges", Field: "process.noNewPrivileges", Engines: []string{"podman", "buildah"},
		Why:   "bubblewrap always sets no_new_privs, and the Spec says so; podman leaves it off",
		match: fact("process", "no_new_privs", "1", "0"),
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
		Why: "in podman's user namespace directories that runc has copied to, and volumes in them, have an owner that is not mapped",
		match: func(d Difference, c *comparison) bool {
			return d.aspect == "owner" && d.Theirs == unmapped && (c.onTmpfs(1, d) || c.mountAt(1, d.at).Type != "" && c.mountAt(1, path.Dir(d.at)).Type == "tmpfs")
		},
	},
	{
		Name: "chroot isolation", Field: "linux.namespaces[].type", Engines: []string{"buildah"},
		Why:   "it is a chroot in mount, uts and network namespaces, with the host's devices and processes and a writable root: what can be compared is the process, its environment, ids and capabilities, and the files",
		match: chrootIsolation,
	},
	{
		Name: "seccomp profile", Field: "linux.seccomp.defaultAction", Engines: []string{"podman", "buildah"},
		Why:   "the Spec has docker's profile, with podman's answer about audit, podman and buildah have their own: each lets some calls through that the other refuses, and what neither knows is EPERM here, ENOSYS there",
		match: otherProfile,
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
		Name: "container's name in /etc/hosts", Field: "hostname", Engines: []string{"podman"},
		Why: "podman adds the name of the container behind its hostname, where the network is the container's own",
		match: func(d Difference, c *comparison) bool {
			const file = "/etc/hosts"
			ours, ok := strings.CutSuffix(c.our("files", file), `\n`)
			theirs, found := strings.CutPrefix(c.their("files", file), ours+" ")
			name, ended := strings.CutSuffix(theirs, `\n`)
			same := ok && found && ended && !strings.ContainsAny(name, ` \`)
			return same && (d.Group == "files" && d.Name == file || d.Path == file && d.aspect == "content")
		},
	},
	{
		Name: "ping sockets", Field: "linux.sysctl", Engines: []string{"podman"},
		Why:   "podman sets net.ipv4.ping_group_range in a network of the container's own; here that takes a mount namespace that is made before bubblewrap",
		match: fact("system calls", "socket ping", "EACCES", "ok"),
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
		Name: "group of a user's number", Field: "config.User", Engines: []string{"podman"},
		Why: "podman 4 gives a user by number without a group a group of that number in /etc/group, which the user is not in",
		match: func(d Difference, c *comparison) bool {
			uid, _, _ := strings.Cut(c.user(), ":")
			line := fmt.Sprintf("%s:x:%[1]s:%[1]s\n", uid)
			return d.Group == mountGroup && d.at == "/etc/group" && d.Ours == Absent ||
				d.Path == "/etc/group" && d.aspect == "content" && sizeOf(d.Theirs) == sizeOf(d.Ours)+len(line)
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
		Name: "owner of an empty volume", Field: "config.Volumes", Engines: []string{"podman"},
		Why: "podman gives a new volume, where nothing is copied to it, to the user; here, as in docker, it is as in the image, or root's where the image has no such directory",
		match: func(d Difference, c *comparison) bool {
			dir := d.Path
			if d.Group == "writable" {
				dir = d.Name
			}
			if c.mountAt(0, dir).Type == "" || c.mountAt(1, dir).Type == "" {
				return false
			}
			return d.aspect == "owner" && d.Ours == "0:0" && d.Theirs == c.user() || d.Group == "writable" && d.Ours == "EACCES" && d.Theirs == "ok"
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
		Name: "limit of processes", Field: "process.rlimits[].type", Engines: []string{"podman"},
		Why: "podman lowers its own to kernel.pid_max while it starts, and so can't give what the caller has",
		match: func(d Difference, c *comparison) bool {
			return d.Group == "limits" && d.Name == "nproc" && d.Theirs == lowered(d.Ours, c.theirs.Host.PIDMax)
		},
	},
	{
		Name: "cgroup namespace", Field: "linux.namespaces[].type", Engines: []string{"podman"},
		Why:   "podman leaves the host's where the host has cgroups of version 1",
		match: fact("namespaces", "cgroup", "its own", "the caller's"),
	},
}

// sizeOf reads the size from what is said of a file's content: "sha256 …, 73 bytes".
func sizeOf(content string) (n int) {
	_, size, _ := strings.Cut(content, ", ")
	if _, err := fmt.Sscanf(size, "%d bytes", &n); err != nil {
		return -1
	}
	return n
}
