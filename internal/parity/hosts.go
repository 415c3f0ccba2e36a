package parity

import (
	"slices"
	"strings"
)

// hostly says whether two hosts may differ in it, of themselves: their kernels,
// their hardware, and what a process has from its caller where nothing sets it.
// What the Spec says is the same on any host.
func (c *comparison) hostly(d Difference) bool {
	switch d.Group {
	case "names":
		return d.Name == "kernel" || d.Name == "machine"
	case "files":
		return slices.Contains(copied, d.Name)
	case "tree":
		return slices.Contains(copied, d.at) && slices.Contains([]string{"content", "mode", "owner"}, d.aspect)
	case "limits":
		return !slices.Contains(c.Set, d.Name)
	case "process":
		return slices.Contains(inherited, d.Name) && !slices.Contains(c.Set, d.Name)
	case "seccomp":
		return strings.HasPrefix(d.Name, "Speculation")
	case "namespaces":
		return d.Ours == "ENOENT" || d.Theirs == "ENOENT" // of a kind that one kernel lacks
	case "network":
		return c.otherLinks(d)
	case "kernel paths":
		return otherKernelPath(d)
	case mountGroup:
		return c.coversNothing(d)
	case "system calls":
		return c.otherKernelCall(d)
	}
	return false
}

var (
	// copied are the files in /etc that are made of the host's. /etc/hostname
	// holds what the Spec says.
	copied = []string{"/etc/hosts", "/etc/resolv.conf"}

	// inherited is what a process has from its caller.
	inherited = []string{"Cpus_allowed_list", "Mems_allowed_list", "coredump_filter", "nice", "oom_score_adj", "timer slack"}
)

// otherLinks matches the interfaces of the hosts, where both sides have theirs,
// and those that a kernel makes in each network namespace.
func (c *comparison) otherLinks(d Difference) bool {
	if !strings.HasPrefix(d.Name, "interface ") {
		return false
	}
	const shared = "the caller's"
	if c.our("namespaces", "net") == shared && c.their("namespaces", "net") == shared {
		return true
	}
	made := []string{Absent, "down"}
	return d.Name != "interface lo" && slices.Contains(made, d.Ours) && slices.Contains(made, d.Theirs)
}

// otherKernelPath matches what only one kernel has, or has with another mode
// and owner. What hides it, or keeps it from being written to, is none of the
// hosts'.
func otherKernelPath(d Difference) bool {
	if missing(d.Ours) || missing(d.Theirs) || d.Name == "/sys/class/net lists" {
		return true
	}
	kind, opens := func(s string) string { return s[:min(1, len(s))] }, func(s string) string { _, s, _ = strings.Cut(s, ", "); return s }
	return kind(d.Ours) == kind(d.Theirs) && opens(d.Ours) == opens(d.Theirs)
}

func missing(value string) bool { return value == Absent || value == "ENOENT" }

// coversNothing matches a mount of the kernel's file systems, or over a part of
// them, at a place that the other side's kernel does not have.
func (c *comparison) coversNothing(d Difference) bool {
	place, _, _ := strings.Cut(d.at, " #")
	if within(place, "/sys/fs/cgroup") {
		return true
	}
	if d.aspect != "" || !within(place, "/proc") && !within(place, "/sys") {
		return false
	}
	return d.Ours == Absent && missing(c.our("kernel paths", place)) || d.Theirs == Absent && missing(c.their("kernel paths", place))
}

// otherKernelCall matches calls and families of sockets that only one of two
// different kernels has. clone3 is refused with the same error.
func (c *comparison) otherKernelCall(d Difference) bool {
	if c.our("names", "kernel") == c.their("names", "kernel") || d.Name == "clone3" {
		return false
	}
	lacks := "ENOSYS"
	if strings.HasPrefix(d.Name, "socket ") {
		lacks = "EAFNOSUPPORT"
	}
	return d.Ours == lacks || d.Theirs == lacks
}
