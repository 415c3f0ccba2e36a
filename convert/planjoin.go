package convert

import (
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// join has the sandbox enter the namespaces that the Spec names by a path, as
// far as the runner's thread can do so before it starts bubblewrap. Of the
// others a new one is made.
func (p *planner) join(plan *bwrap.Plan) {
	n := &plan.Namespaces
	own := map[specs.LinuxNamespaceType]*bool{
		specs.NetworkNamespace: &n.Net, specs.IPCNamespace: &n.IPC, specs.UTSNamespace: &n.UTS, specs.CgroupNamespace: &n.Cgroup,
		specs.PIDNamespace: &n.PID,
	}
	for i, ns := range p.spec.Linux.Namespaces {
		if ns.Path == "" {
			continue
		}
		field := fmt.Sprintf("linux.namespaces[%d].path", i)
		flag := own[ns.Type]
		switch {
		case flag == nil && p.host.Joined[ns.Path]:
			n.Join = append(n.Join, bwrap.Join{Kind: string(ns.Type), Path: ns.Path, Field: field, Inside: true})
			continue
		case ns.Type == specs.MountNamespace:
			p.gaps = append(p.gaps, Gap{Field: field, Effect: Lacks,
				Reason: "bubblewrap makes the sandbox in a copy of the mount namespace that it is started in: neither would the process be in the one that is named, nor see what is mounted there later"})
			continue
		case i == p.unknownUser(): // a gap already
			continue
		case flag == nil:
			p.gaps = append(p.gaps, Gap{Field: field, Effect: Lacks,
				Reason: fmt.Sprintf("a sandbox can't join a %s namespace: it is made in one of its own", ns.Type)})
			continue
		case !p.mayJoin() && !p.host.Joined[ns.Path]:
			p.gaps = append(p.gaps, Gap{Field: field, Effect: Lacks,
				Reason: "only root of the user namespace that it belongs to may join it: a new one is made",
				Remedy: "name that user namespace by its path too, or run oci2bwrap as root"})
			continue
		case ns.Type == specs.PIDNamespace && !p.joinPID(plan, field):
			continue
		}
		*flag = false
		n.Join = append(n.Join, bwrap.Join{Kind: string(ns.Type), Path: ns.Path, Field: field, Inside: p.host.Joined[ns.Path]})
		if ns.Type != specs.UTSNamespace {
			continue
		}
		for _, name := range []struct {
			field, value string
		}{{"hostname", n.Hostname}, {"domainname", n.Domainname}} {
			if name.value != "" {
				p.gaps = append(p.gaps, Gap{Field: name.field, Effect: Lacks, Reason: "the uts namespace is joined, and keeps its own name"})
			}
		}
		n.Hostname, n.Domainname = "", ""
	}
}

// joinPID plans what a pid namespace of its own does for a sandbox otherwise,
// and says whether it can be had. In another's there is no process 1 of the
// sandbox's whose end is that of all the others, so that they are in a control
// group, by which they are ended.
func (p *planner) joinPID(plan *bwrap.Plan, field string) bool {
	if p.host.Cgroup.Parent == "" {
		reason := "the sandbox's processes could be ended in it by a control group of version 2 only, and there is none: a new one is made"
		if p.host.Cgroup.Reason != "" {
			reason += ": " + p.host.Cgroup.Reason
		}
		p.gaps = append(p.gaps, Gap{Field: field, Effect: Lacks, Reason: reason})
		return false
	}
	if plan.Process.Init {
		p.fail(fmt.Errorf("--init: process 1 is that of the pid namespace that is joined (%s)", field))
	}
	plan.Cgroup = &bwrap.CgroupLimits{Parent: p.host.Cgroup.Parent}
	return true
}

// mayJoin says that the caller is root of a user namespace that was there
// before, so that others can belong to it. Which do the kernel says.
func (p *planner) mayJoin() bool {
	return !p.host.ordinary() || p.host.Mapped != nil && !p.host.Mapped.Own
}

// joinedUser is the place of the user namespace that the caller has been
// started in for the Spec, -1 for none.
func (p *planner) joinedUser() int {
	return slices.IndexFunc(p.spec.Linux.Namespaces, func(ns specs.LinuxNamespace) bool {
		return ns.Type == specs.UserNamespace && ns.Path != "" && p.host.Joined[ns.Path]
	})
}

// unknownUser is the place of one that is not joined, and whose mappings the
// Spec does not say, -1 for none.
func (p *planner) unknownUser() int {
	if len(p.spec.Linux.UIDMappings)+len(p.spec.Linux.GIDMappings) > 0 {
		return -1
	}
	return slices.IndexFunc(p.spec.Linux.Namespaces, func(ns specs.LinuxNamespace) bool {
		return ns.Type == specs.UserNamespace && ns.Path != "" && !p.host.Joined[ns.Path]
	})
}

// joinedSpace is for a sandbox in a user namespace that is there. Its maps are
// what they are, and the Spec's can only be the same.
func (p *planner) joinedSpace(plan *bwrap.Plan, at int) {
	m := p.host.Mapped
	p.sameMaps(at, *m)
	p.inheritedSpace(plan)
	// With one id there are no groups to be set, and no other ids.
	plan.Namespaces.User, plan.Namespaces.OneID = false, count(m.UIDs) == 1 && count(m.GIDs) == 1
}

// sameMaps refuses mappings that are not those of the namespace that is joined.
func (p *planner) sameMaps(at int, m Mapped) {
	for _, ids := range []struct {
		field        string
		wanted, have []specs.LinuxIDMapping
	}{{"linux.uidMappings", p.spec.Linux.UIDMappings, m.UIDs}, {"linux.gidMappings", p.spec.Linux.GIDMappings, m.GIDs}} {
		if len(ids.wanted) > 0 && !slices.Equal(ids.wanted, ids.have) {
			p.fail(&hinted{fmt.Errorf("%s: are not those of the user namespace that is joined (linux.namespaces[%d].path)", ids.field, at), "leave them out: they are that namespace's"})
		}
	}
}
