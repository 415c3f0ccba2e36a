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
	if l.Resources != nil {
		g.oldLimits(l.Resources)
	}
	g.seccomp(l.Seccomp)
	if strings.HasSuffix(l.RootfsPropagation, "shared") {
		g.lacks("linux.rootfsPropagation", fmt.Sprintf("%q: no mount of a sandbox reaches the host", l.RootfsPropagation))
	}
	g.deviceRules()
}

// deviceRules finds access that only a device cgroup could refuse, to devices
// that are there, and access to devices that are not.
func (g *gapFinder) deviceRules() {
	l := g.spec.Linux
	if l.Resources == nil {
		return
	}
	noted := false
	for i, r := range l.Resources.Devices {
		if !r.Allow || r.Major == nil || *r.Major < 0 {
			continue
		}
		there := asNode(r, l)
		switch {
		case there && restricted(r.Access):
			g.gaps = append(g.gaps, restrictedDevice(i, r.Access))
		case !there && !noted:
			noted = true
			g.note("linux.resources.devices", "there is no device cgroup: the nodes of /dev are all that can be used")
		}
	}
}

// seccomp finds calls that a listener is to decide upon. The kernel fails them
// with ENOSYS where there is none, so that nothing is let through.
func (g *gapFinder) seccomp(s *specs.LinuxSeccomp) {
	if s == nil {
		return
	}
	const reason = "SCMP_ACT_NOTIFY: there is no listener, the calls fail with ENOSYS"
	gap := Gap{Effect: Lacks, Reason: reason, Remedy: "SCMP_ACT_ALLOW or SCMP_ACT_ERRNO, where no supervisor is to decide"}
	if gap.Field = "linux.seccomp.defaultAction"; s.DefaultAction == specs.ActNotify {
		g.gaps = append(g.gaps, gap)
	}
	for i, call := range s.Syscalls {
		if gap.Field = fmt.Sprintf("linux.seccomp.syscalls[%d].action", i); call.Action == specs.ActNotify {
			g.gaps = append(g.gaps, gap)
		}
	}
}

// groups finds additional groups that the user namespace has no id for.
func (g *gapFinder) groups(gids []uint32) {
	l := g.spec.Linux
	if l == nil || !slices.ContainsFunc(l.Namespaces, func(ns specs.LinuxNamespace) bool { return ns.Type == specs.UserNamespace && ns.Path == "" }) {
		return // or it is joined, and has mappings of its own
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
		g.gaps = append(g.gaps, unmappedGroups(out))
	}
}

// unmappedGroups is the gap of groups that the sandbox's user namespace lacks.
func unmappedGroups(groups []string) Gap {
	return Gap{
		Field: "process.user.additionalGids", Effect: Lacks,
		Reason: "the id mappings have no place for " + strings.Join(groups, ", "),
		Remedy: "give the caller ranges in /etc/subuid and /etc/subgid",
	}
}

// mountOptions finds what of a mount's options is not applied. Those of
// tmpfs and devpts are the planner's, who reads them.
func (g *gapFinder) mountOptions(m specs.Mount) {
	field := "mounts[" + m.Destination + "].options"
	w := parseWords(m.Options)
	if p := strings.TrimPrefix(w.propagation, "r"); p == "shared" || p == "unbindable" {
		g.lacks(field, fmt.Sprintf("%q: every mount is private to the sandbox or receives the host's", w.propagation))
	}
	left := w.ignored
	switch m.Type {
	case "tmpfs", "devpts":
	case "overlay":
		for _, o := range w.data {
			if key, _, _ := strings.Cut(o, "="); key != "lowerdir" && key != "upperdir" && key != "workdir" {
				left = append(left, o)
			}
		}
	case "proc":
		for _, o := range w.data {
			if key, _, _ := strings.Cut(o, "="); key == "hidepid" || key == "subset" {
				g.gaps = append(g.gaps, Gap{Field: field, Effect: Weakens, Reason: fmt.Sprintf("%q: bubblewrap mounts procfs without it", o)})
				continue
			}
			left = append(left, o)
		}
		if w.readOnly {
			left = append(left, "ro")
		}
	default:
		left = append(left, w.data...)
	}
	if len(left) > 0 {
		g.note(field, "not applied: %s", strings.Join(left, ", "))
	}
}
