package convert

import (
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	"github.com/oci2bwrap/oci2bwrap/internal/inroot"
)

// sysMount plans a /sys: a fresh sysfs where the Spec asks for one and the
// kernel gives it, which is to real root, and to others with a network
// namespace of their own. Else it is the host's.
func (p *planner) sysMount(m specs.Mount, at inroot.Path, why string) error {
	if at.Name != "/sys" {
		return fmt.Errorf("%q is a symlink in the image, to %q", "/sys", at.Name)
	}
	if err := p.directory(at, why); err != nil {
		return err
	}
	w := parseWords(m.Options)
	attr := w.attr &^ (bwrap.Single | bwrap.Slave)
	if !w.readOnly {
		p.notApplied(m.Destination, "rw")
	}
	var op bwrap.Op = bwrap.Bind{Src: "/sys", Dst: at.Name, ReadOnly: true, Attr: attr}
	if m.Type == "sysfs" && p.freshSys() {
		op = bwrap.Sysfs{Dst: at.Name, ReadOnly: true, Attr: attr}
	}
	p.view.mount(region{at: at.Name, kind: regionKernel, step: p.add(op, why)})
	return nil
}

// freshSys says that a sysfs can be mounted, and that what the Spec wants in
// it is not lost by that: the host's cgroup file systems are in the host's.
func (p *planner) freshSys() bool {
	cgroups := slices.ContainsFunc(p.spec.Mounts, func(m specs.Mount) bool { return m.Type == "cgroup" || m.Type == "cgroup2" })
	return p.Features.Stage && (p.owns(specs.NetworkNamespace) || !p.userNamespace()) && (!cgroups || p.owns(specs.CgroupNamespace))
}

// cgroupMount plans the sandbox's own control groups, seen from its cgroup
// namespace, in a fresh sysfs. In the host's /sys the host's are shown.
func (p *planner) cgroupMount(m specs.Mount, sys region, why string) {
	w := parseWords(m.Options)
	if sys.step >= 0 {
		if _, ok := p.steps[sys.step].Op.(bwrap.Sysfs); ok {
			attr := w.attr &^ (bwrap.Single | bwrap.Slave)
			p.add(bwrap.Cgroup{Dst: "/sys/fs/cgroup", ReadOnly: true, Attr: attr}, why)
			if !w.readOnly {
				p.notApplied(m.Destination, "rw")
			}
			return
		}
	}
	if !isDefault(why) {
		p.notes = append(p.notes, Note{Field: "mounts[" + m.Destination + "]", Text: "shows the control groups of the host, read-only"})
	}
}

// owns says that the Spec gives the sandbox a namespace of this kind.
func (p *planner) owns(kind specs.LinuxNamespaceType) bool {
	return slices.ContainsFunc(p.spec.Linux.Namespaces, func(ns specs.LinuxNamespace) bool { return ns.Type == kind })
}

func (p *planner) userNamespace() bool {
	return p.host.ordinary() || p.owns(specs.UserNamespace) && p.joinedUser() < 0
}
