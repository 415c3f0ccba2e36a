package parity

import (
	"slices"
	"strconv"
	"strings"
)

type matcher = func(Difference, *comparison) bool

// fact matches one fact with the values of both sides; "*" is any value.
func fact(group, name, ours, theirs string) matcher {
	return func(d Difference, _ *comparison) bool {
		return d.Group == group && d.Name == name && (ours == "*" || d.Ours == ours) && (theirs == "*" || d.Theirs == theirs)
	}
}

// at matches some aspects of what stands at one of the places on both sides.
func at(group string, aspects []string, places ...string) matcher {
	return func(d Difference, _ *comparison) bool {
		return d.Group == group && slices.Contains(places, d.at) && slices.Contains(aspects, d.aspect)
	}
}

func and(all ...matcher) matcher {
	return func(d Difference, c *comparison) bool {
		for _, m := range all {
			if !m(d, c) {
				return false
			}
		}
		return true
	}
}

// moreOptions matches mount options that are the reference's and some of
// these.
func moreOptions(more ...string) matcher {
	return func(d Difference, _ *comparison) bool {
		left := strings.Split(d.Ours, ",")
		theirs := strings.Split(d.Theirs, ",")
		left = slices.DeleteFunc(left, func(o string) bool { return slices.Contains(more, o) && !slices.Contains(theirs, o) })
		return slices.Equal(left, theirs)
	}
}

// sameBut says that both sides have the same options but for some.
func sameBut(d Difference, options ...string) bool {
	strip := func(list string) []string {
		return slices.DeleteFunc(strings.Split(list, ","), func(o string) bool { return slices.Contains(options, o) })
	}
	return slices.Equal(strip(d.Ours), strip(d.Theirs))
}

// hasOption looks among the options at the end of a mount's summary.
func hasOption(mount, option string) bool {
	return slices.Contains(strings.Split(mount[strings.LastIndexByte(mount, ' ')+1:], ","), option)
}

// mountAt is the mount of our side (0) or theirs (1).
func (c *comparison) mountAt(side int, path string) Mount {
	for _, m := range c.res.Mounts[side] {
		if m.Path == path {
			return m
		}
	}
	return Mount{}
}

// onTmpfs says that a difference of a directory, in its mode or in whether it
// can be written to, is of one that a side has on a tmpfs, or has made for one.
func (c *comparison) onTmpfs(side int, d Difference) bool {
	path := d.Path
	if d.Group == "writable" {
		path = d.Name
	}
	if path == "" || path == "/" {
		return false
	}
	var around Mount
	for _, m := range c.res.Mounts[side] {
		if m.Type == "tmpfs" && within(m.Path, path) {
			return true
		}
		if within(path, m.Path) && len(m.Path) >= len(around.Path) {
			around = m
		}
	}
	return around.Type == "tmpfs"
}

// ownModes matches the modes of what crun copies to, and that those may be
// written to.
func ownModes(d Difference, c *comparison) bool {
	path := d.Path
	if d.Group == "writable" {
		path = d.Name
		if path == "/var/run" {
			path = "/run" // where it leads in most images
		}
	}
	m := c.mountAt(1, path)
	open := m.Type == "tmpfs" && !strings.Contains(m.Super, "mode=")
	return d.aspect == "mode" && (open && d.Theirs == "01777" || c.onTmpfs(1, d) && d.Ours == "0755" && d.Theirs == "01755") ||
		open && d.Group == "writable" && d.Ours == "EACCES" && d.Theirs == "ok"
}

// lost are the permission bits that the first mode has and the second has not;
// all of them where the second has others.
func lost(ours, theirs string) uint64 {
	a, errA := strconv.ParseUint(ours, 8, 32)
	b, errB := strconv.ParseUint(theirs, 8, 32)
	if errA != nil || errB != nil || b&^a != 0 {
		return 0o7777
	}
	return a &^ b
}

// lowered is a limit, soft and hard, where neither may be above a maximum.
func lowered(limit string, maximum uint64) string {
	words := strings.Fields(limit)
	for i, w := range words {
		if n, err := strconv.ParseUint(w, 10, 64); err != nil || n > maximum {
			words[i] = strconv.FormatUint(maximum, 10)
		}
	}
	return strings.Join(words, " ")
}

// user is the process's owner of files, "UID:GID", on our side.
func (c *comparison) user() string {
	id := func(kind string) string {
		first, _, _ := strings.Cut(c.our("ids", kind+" real, effective, saved, file system"), " ")
		return first
	}
	return id("uid") + ":" + id("gid")
}

// chrootIsolation matches what buildah's makes no world of its own of.
func chrootIsolation(d Difference, _ *comparison) bool {
	switch d.Group {
	case "descriptors", "devices", "kernel paths", "limits", mountGroup, "names", "namespaces", "network", "writable", "files":
		return true
	case "process":
		return slices.Contains([]string{"pid", "parent", "session", "process group", "cgroup", "no_new_privs", "oom_score_adj"}, d.Name)
	case "environment":
		return slices.Contains([]string{"HOSTNAME", "TERM", "container"}, d.Name)
	case "ids":
		return d.Name == "groups" && d.Ours == "" && d.Theirs == "0"
	case "tree":
		made := []string{"/run", "/run/.containerenv", "/.oci2bwrap-probe", "/var", "/tmp"}
		return d.aspect == "" && d.Ours == Absent && slices.Contains(made, d.Path) ||
			d.aspect == "" && d.Theirs == Absent && slices.Contains([]string{"/run", "/tmp", "/var"}, d.Path) ||
			d.aspect == "mode" && slices.Contains([]string{"/", "/tmp"}, d.Path) ||
			slices.Contains(etcFiles, d.Path)
	}
	return false
}

// inner is an id map without the numbers that it leads to.
func inner(idMap string) string {
	var out []string
	for line := range strings.SplitSeq(idMap, "; ") {
		if f := strings.Fields(line); len(f) == 3 {
			out = append(out, f[0]+" "+f[2])
		}
	}
	return strings.Join(out, "; ")
}

// singleID matches what comes of a map of one id on our side, where the other
// has several.
func singleID(d Difference, c *comparison) bool {
	own := strings.Fields(c.our("process", "uid_map"))
	if len(own) != 3 || own[2] != "1" {
		return false
	}
	switch d.Group {
	case "process":
		return slices.Contains([]string{"uid_map", "gid_map", "setgroups"}, d.Name)
	case "ids":
		return d.Name == "groups"
	case "devices":
		return d.Name == "/dev/pts" && strings.HasSuffix(d.Theirs, " "+unmapped)
	case mountGroup:
		return d.at == "/dev/pts" && d.aspect == "file system"
	case "tree":
		return d.aspect == "owner" && strings.HasPrefix(d.Ours, own[0]+":")
	}
	return false
}

// seeded matches the kind of file system of a mount that is an overlay here
// and is writable on both sides.
func seeded(d Difference, c *comparison) bool {
	if d.Group != mountGroup || d.at == "/" || d.aspect != "type" && d.aspect != "file system" {
		return false
	}
	a, b := c.mountAt(0, d.at), c.mountAt(1, d.at)
	return slices.Contains([]string{"overlay", "tmpfs"}, a.Type) && hasOption(a.Options, "rw") && hasOption(b.Options, "rw") &&
		(a.Type == "overlay" || b.Type != "tmpfs" || strings.Contains(a.Super, "mode="))
}

// masked matches all of a mount in /proc or /sys that covers something on both
// sides, be it another file system.
func masked(d Difference, c *comparison) bool {
	if d.Group != mountGroup || d.aspect == "" || !strings.HasPrefix(d.at, "/proc/") && !strings.HasPrefix(d.at, "/sys/") {
		return false
	}
	for side := range c.res.Mounts {
		m := c.mountAt(side, d.at)
		node := m.Type == "devtmpfs" || m.Type == "tmpfs" && strings.HasPrefix(m.Super, "mode=755")
		if !node && (m.Type != "tmpfs" || !hasOption(m.Options, "ro")) {
			return false
		}
	}
	return true
}

// cgroups matches what is seen at and below /sys/fs/cgroup, and the name of
// the process's own cgroup.
func cgroups(d Difference, c *comparison) bool {
	const dir = "/sys/fs/cgroup"
	switch d.Group {
	case mountGroup:
		place, _, _ := strings.Cut(d.at, " #")
		return within(place, dir) && (d.Ours == Absent || d.aspect != "" || hasOption(d.Ours, "ro"))
	case "kernel paths":
		return d.Name == dir && strings.HasPrefix(d.Ours, "d 0") && strings.HasPrefix(d.Theirs, "d 0")
	case "writable":
		return within(d.Name, dir) && (d.Ours == "EROFS" || d.Ours == Absent)
	}
	return d.Group == "process" && d.Name == "cgroup"
}

// belowSys matches what the host has mounted below its /sys.
func belowSys(d Difference, c *comparison) bool {
	switch d.Group {
	case mountGroup:
		return strings.HasPrefix(d.at, "/sys/") && hasOption(d.Ours, "ro") &&
			(d.Theirs == Absent || d.aspect == "options" && hasOption(d.Theirs, "rw"))
	case "writable":
		return strings.HasPrefix(d.Name, "/sys/") && d.Ours == "EROFS"
	case "kernel paths":
		m := c.mountAt(0, d.Name)
		return strings.HasPrefix(d.Name, "/sys/") && m.Type != "" && hasOption(m.Options, "ro") && strings.HasSuffix(d.Theirs, ", empty")
	}
	return false
}
