package convert

import (
	"errors"
	"fmt"
	"path"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// spaces makes the namespaces what this caller's sandboxes can have, and tells
// where that is not what the Spec says. A Spec of ours already is.
func (p *planner) spaces(plan *bwrap.Plan) {
	n := &plan.Namespaces
	if !n.PID {
		n.PID = true
		p.gaps = append(p.gaps, Gap{
			Field: "linux.namespaces", Effect: Lacks,
			Reason: "no pid namespace is named, but a sandbox has one of its own: it sees no process of the host",
		})
	}
	user := p.joinedUser()
	if user >= 0 && p.host.Mapped != nil {
		p.joinedSpace(plan, user)
		return
	}
	if at := p.unknownUser(); at >= 0 {
		p.gaps = append(p.gaps, Gap{
			Field: fmt.Sprintf("linux.namespaces[%d].path", at), Effect: Weakens,
			Reason: "the user namespace is not entered, and the process would have other rights on the host than its mappings give it",
			Remedy: "oci2bwrap run enters any but the caller's own; in place of that, leave the path out and map the caller's ids",
		})
		p.callersSpace(plan)
		return
	}
	switch {
	case user >= 0 && !p.host.ordinary():
		p.sameMaps(user, Mapped{})
		n.User = false // it is real root's own, and joined by staying in it
	case p.host.single():
		p.singleSpace(plan)
	case n.User && !p.inherits():
		p.mappedSpace(plan)
	case p.host.Mapped != nil:
		p.inheritedSpace(plan)
	}
}

// namespaceFaults finds what linux.namespaces can't say, and mappings without
// a namespace that they could be of.
func (p *planner) namespaceFaults() {
	known := []specs.LinuxNamespaceType{
		specs.PIDNamespace, specs.NetworkNamespace, specs.MountNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.UserNamespace, specs.CgroupNamespace, specs.TimeNamespace,
	}
	at := map[specs.LinuxNamespaceType]int{}
	for i, ns := range p.spec.Linux.Namespaces {
		field := fmt.Sprintf("linux.namespaces[%d].type", i)
		if !slices.Contains(known, ns.Type) {
			p.fail(fmt.Errorf("%s: %q is no namespace (has: pid, network, mount, ipc, uts, user, cgroup, time)", field, ns.Type))
		}
		if ns.Path != "" && !path.IsAbs(ns.Path) {
			p.fail(fmt.Errorf("linux.namespaces[%d].path: %q is not absolute", i, ns.Path))
		}
		if first, ok := at[ns.Type]; ok {
			p.fail(fmt.Errorf("%s: linux.namespaces[%d] is of type %q as well", field, first, ns.Type))
		}
		at[ns.Type] = i
	}
	if _, ok := at[specs.UserNamespace]; !ok && len(p.spec.Linux.UIDMappings)+len(p.spec.Linux.GIDMappings) > 0 {
		p.fail(&hinted{errors.New("linux.uidMappings, linux.gidMappings: need a user namespace in linux.namespaces"), `add {"type": "user"}, or leave them out`})
	}
}

// singleSpace is for a caller who can map one id only.
func (p *planner) singleSpace(plan *bwrap.Plan) {
	if !plan.Namespaces.User {
		plan.Namespaces.User = true
		p.notes = append(p.notes, Note{
			Field: "linux.namespaces",
			Text:  "no user namespace is named, and without root there has to be one: it maps one id, and files of other owners belong to nobody",
		})
		plan.Process.Groups = nil
		return
	}
	for _, ids := range []struct {
		field     string
		mappings  []specs.LinuxIDMapping
		container int
		host      int
	}{
		{"linux.uidMappings", p.spec.Linux.UIDMappings, plan.Process.UID, p.host.UID},
		{"linux.gidMappings", p.spec.Linux.GIDMappings, plan.Process.GID, p.host.GID},
	} {
		if len(ids.mappings) == 1 && int(ids.mappings[0].ContainerID) == ids.container && int(ids.mappings[0].HostID) == ids.host && ids.mappings[0].Size == 1 {
			continue
		}
		p.gaps = append(p.gaps, Gap{
			Field: ids.field, Effect: Weakens,
			Reason: "only the process's own id can be mapped, to the caller's, and the process would have other rights on the host than these mappings give it",
			Remedy: "give the caller the ids in /etc/subuid and /etc/subgid",
		})
	}
}

// inherits says that the Spec's mappings are those of the namespace that the
// caller is in.
func (p *planner) inherits() bool {
	m := p.host.Mapped
	return m != nil && m.Own && slices.Equal(p.spec.Linux.UIDMappings, m.UIDs) && slices.Equal(p.spec.Linux.GIDMappings, m.GIDs)
}

// inheritedSpace is for a sandbox that stays in the caller's user namespace.
func (p *planner) inheritedSpace(plan *bwrap.Plan) {
	m, n := p.host.Mapped, &plan.Namespaces
	p.inMap("process.user.uid", plan.Process.UID, m.UIDs)
	p.inMap("process.user.gid", plan.Process.GID, m.GIDs)
	var out []string
	plan.Process.Groups = slices.DeleteFunc(plan.Process.Groups, func(g int) bool {
		lacks := !mapped(m.GIDs, uint32(g))
		if lacks {
			out = append(out, fmt.Sprint(g))
		}
		return lacks
	})
	if len(out) > 0 { // of mappings that are not the Spec's
		p.gaps = append(p.gaps, unmappedGroups(out))
	}
	if !n.User && m.Own {
		p.notes = append(p.notes, Note{
			Field: "linux.namespaces",
			Text:  "no user namespace is named, and without root there has to be one: it maps the caller's id and its subordinate ones",
		})
	}
	n.User, n.Mapped = m.Own, true
}

// mappedSpace is for a Spec's own mappings, of ids that the caller has.
func (p *planner) mappedSpace(plan *bwrap.Plan) {
	var have Mapped
	if p.host.Mapped != nil {
		have = *p.host.Mapped
	}
	for _, ids := range []struct {
		field, of    string
		wanted, have []specs.LinuxIDMapping
		id           int
		to           *[]bwrap.IDMapping
	}{
		{"linux.uidMappings", "process.user.uid", p.spec.Linux.UIDMappings, have.UIDs, plan.Process.UID, &plan.Namespaces.UIDMap},
		{"linux.gidMappings", "process.user.gid", p.spec.Linux.GIDMappings, have.GIDs, plan.Process.GID, &plan.Namespaces.GIDMap},
	} {
		within, ok := p.translate(ids.wanted, ids.have)
		if ok && !slices.ContainsFunc(within, func(m bwrap.IDMapping) bool { return m.Outside == 0 }) {
			p.gaps = append(p.gaps, Gap{
				Field: ids.field, Effect: Weakens,
				Reason: "the caller's own id is not among them, as bubblewrap needs it, and the process would have other rights on the host than these mappings give it",
				Remedy: "map the container's root, and leave --userns out: then oci2bwrap run enters a namespace with these ids first",
			})
			continue
		}
		if !ok {
			p.gaps = append(p.gaps, Gap{
				Field: ids.field, Effect: Weakens,
				Reason: "they are not among the caller's own and subordinate ids, and the process would have other rights on the host than these mappings give it",
				Remedy: "give the caller the ids in /etc/subuid and /etc/subgid",
			})
			continue
		}
		*ids.to = within
		p.inMap(ids.of, ids.id, ids.wanted)
	}
	if n := &plan.Namespaces; n.UIDMap == nil || n.GIDMap == nil {
		p.callersSpace(plan)
	}
}

// callersSpace is for a gap that was allowed: the ids are the caller's.
func (p *planner) callersSpace(plan *bwrap.Plan) {
	m, n := p.host.Mapped, &plan.Namespaces
	n.UIDMap, n.GIDMap = nil, nil
	n.User, n.Mapped = n.User && (m == nil || m.Own), m != nil
}

// inMap refuses an id of the process that its user namespace does not have.
func (p *planner) inMap(field string, id int, have []specs.LinuxIDMapping) {
	if !mapped(have, uint32(id)) {
		p.fail(&hinted{
			fmt.Errorf("%s: %d is not among the %d ids that are mapped", field, id, count(have)),
			"give the caller more ids in /etc/subuid and /etc/subgid, or map this one alone with --userns single",
		})
	}
}

// translate gives mappings to the ids of the host as such to those of the
// caller's namespace, which are the same where it is not one made for the
// sandbox. It fails where the caller hasn't all of these ids.
func (p *planner) translate(wanted, have []specs.LinuxIDMapping) ([]bwrap.IDMapping, bool) {
	if len(wanted) == 0 {
		return nil, false
	}
	if p.host.Mapped == nil {
		have = []specs.LinuxIDMapping{{Size: 1<<32 - 1}}
	} else if !p.host.Mapped.Own {
		have = slices.Clone(have)
		for i := range have {
			have[i].HostID = have[i].ContainerID
		}
	}
	var out []bwrap.IDMapping
	for _, w := range wanted {
		for w.Size > 0 {
			i := slices.IndexFunc(have, func(h specs.LinuxIDMapping) bool { return w.HostID >= h.HostID && w.HostID-h.HostID < h.Size })
			if i < 0 {
				return nil, false
			}
			into := w.HostID - have[i].HostID
			size := min(w.Size, have[i].Size-into)
			out = append(out, bwrap.IDMapping{Inside: w.ContainerID, Outside: have[i].ContainerID + into, Size: size})
			w.ContainerID, w.HostID, w.Size = w.ContainerID+size, w.HostID+size, w.Size-size
		}
	}
	return out, true
}

func count(mappings []specs.LinuxIDMapping) (n uint64) {
	for _, m := range mappings {
		n += uint64(m.Size)
	}
	return n
}

// ordinary says that the caller has no rights beyond a user's.
func (h Host) ordinary() bool { return h.UID != 0 || h.Confined }

// single says that sandboxes have a user namespace of their own, with one id.
func (h Host) single() bool { return h.ordinary() && h.Mapped == nil }

// hasGID says whether the group exists in the sandboxes of a caller with more
// than one id.
func (h Host) hasGID(gid uint32) bool { return h.Mapped == nil || mapped(h.Mapped.GIDs, gid) }
