package convert

import (
	"fmt"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// values finds what depends on a field's value and not on its being set.
func (g *gapFinder) values() {
	if p := g.spec.Process; p != nil {
		if !p.NoNewPrivileges {
			g.lacks("process.noNewPrivileges", "bubblewrap always sets it: set-id programs and file capabilities give nothing")
		}
		g.groups(p.User.AdditionalGids)
	}
	for _, m := range g.spec.Mounts {
		g.mountOptions(m)
	}
	l := g.spec.Linux
	if l == nil {
		return
	}
	for i, ns := range l.Namespaces {
		if ns.Type == specs.TimeNamespace {
			g.lacks(fmt.Sprintf("linux.namespaces[%d].type", i), "time namespaces are "+notYet)
		}
	}
	if strings.HasSuffix(l.RootfsPropagation, "shared") {
		g.lacks("linux.rootfsPropagation", fmt.Sprintf("%q: no mount of a sandbox reaches the host", l.RootfsPropagation))
	}
	if slices.ContainsFunc(deviceRules(l), func(d specs.LinuxDeviceCgroup) bool { return d.Allow && d.Major != nil && *d.Major >= 0 }) {
		g.note("linux.resources.devices", "there is no device cgroup: the nodes of /dev are all that can be used")
	}
}

func deviceRules(l *specs.Linux) []specs.LinuxDeviceCgroup {
	if l.Resources == nil {
		return nil
	}
	return l.Resources.Devices
}

// groups finds additional groups that the user namespace has no id for.
func (g *gapFinder) groups(gids []uint32) {
	l := g.spec.Linux
	if l == nil || !slices.ContainsFunc(l.Namespaces, func(ns specs.LinuxNamespace) bool { return ns.Type == specs.UserNamespace }) {
		return
	}
	var out []string
	for _, gid := range gids {
		if !slices.ContainsFunc(l.GIDMappings, func(m specs.LinuxIDMapping) bool {
			return gid >= m.ContainerID && uint64(gid) < uint64(m.ContainerID)+uint64(m.Size)
		}) {
			out = append(out, fmt.Sprint(gid))
		}
	}
	if len(out) > 0 {
		g.gaps = append(g.gaps, Gap{
			Field: "process.user.additionalGids", Effect: Lacks,
			Reason: "the id mappings have no place for " + strings.Join(out, ", "),
			Remedy: "give the caller ranges in /etc/subuid and /etc/subgid",
		})
	}
}

// plainOptions are honoured, the default, or of no consequence.
var plainOptions = [...]string{
	"ro", "rw", "rro", "bind", "rbind", "defaults", "tmpcopyup", "newinstance", "ptmxmode=0666", "mode=0620", "mode=620", "gid=5",
	"nosuid", "nodev", "exec", "private", "rprivate", "slave", "rslave",
	"atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime", "lazytime", "nolazytime",
	"async", "silent", "loud", "iversion", "noiversion",
}

// mountOptions finds shared propagation, which is a gap, and options that are
// not applied. Those of the kernel's own mounts are bubblewrap's whatever the
// Spec says.
func (g *gapFinder) mountOptions(m specs.Mount) {
	var left []string
	for _, o := range m.Options {
		key, _, _ := strings.Cut(o, "=")
		switch {
		case o == "shared" || o == "rshared" || o == "unbindable" || o == "runbindable":
			g.lacks("mounts["+m.Destination+"].options", fmt.Sprintf("%q: every mount is private to the sandbox or receives the host's", o))
		case slices.Contains(plainOptions[:], o):
		case m.Type == "tmpfs" && (key == "mode" || key == "size"):
		case (key == "uid" || key == "gid") && slices.Contains(m.Options, "tmpcopyup"): // the image's owner is kept
		default:
			left = append(left, o)
		}
	}
	if len(left) > 0 && !kernelMount(m) {
		g.note("mounts["+m.Destination+"].options", "not applied: %s", strings.Join(left, ", "))
	}
	if m.Type == "bind" && slices.Contains(m.Options, "bind") && !kernelMount(m) {
		g.note("mounts["+m.Destination+"].options", "the bind is recursive: it shows what is mounted below %q as well", m.Source)
	}
}

// kernelMount is a mount that a container has anyway, and single files, where
// noexec says little.
func kernelMount(m specs.Mount) bool {
	switch m.Destination {
	case "/dev", "/dev/shm", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf":
		return true
	}
	return slices.Contains([]string{"proc", "sysfs", "devpts", "mqueue", "cgroup"}, m.Type)
}
