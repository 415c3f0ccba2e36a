package convert

import (
	"fmt"
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
	if p.host.Mapped != nil {
		p.mappedSpace(plan)
		return
	}
	if p.host.single() && !n.User {
		n.User = true
		p.notes = append(p.notes, Note{
			Field: "linux.namespaces",
			Text:  "no user namespace is named, and without root there has to be one: it maps one id, and files of other owners belong to nobody",
		})
		plan.Process.Groups = nil
		return
	}
	if !n.User {
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
			Reason: "only the process's own id can be mapped, to the caller's: other mappings are not supported yet, and the process would have other rights on the host than they give it",
		})
	}
}

// mappedSpace is for a caller that is in the sandbox's user namespace already.
func (p *planner) mappedSpace(plan *bwrap.Plan) {
	m := p.host.Mapped
	for _, ids := range []struct {
		field, of    string
		wanted, have []specs.LinuxIDMapping
		id           int
	}{
		{"linux.uidMappings", "process.user.uid", p.spec.Linux.UIDMappings, m.UIDs, plan.Process.UID},
		{"linux.gidMappings", "process.user.gid", p.spec.Linux.GIDMappings, m.GIDs, plan.Process.GID},
	} {
		if plan.Namespaces.User && !slices.Equal(ids.wanted, ids.have) {
			p.gaps = append(p.gaps, Gap{
				Field: ids.field, Effect: Weakens,
				Reason: "the ids are mapped as they are for the caller, and the process would have other rights on the host than these mappings give it",
			})
		}
		if !mapped(ids.have, uint32(ids.id)) {
			p.fail(&hinted{
				fmt.Errorf("%s: %d is not among the %d ids that are mapped", ids.of, ids.id, count(ids.have)),
				"give the caller more ids in /etc/subuid and /etc/subgid, or map this one alone with --userns single",
			})
		}
	}
	if !plan.Namespaces.User && m.Own {
		p.notes = append(p.notes, Note{
			Field: "linux.namespaces",
			Text:  "no user namespace is named, and without root there has to be one: it maps the caller's id and its subordinate ones",
		})
	}
	plan.Namespaces.User, plan.Namespaces.Mapped = m.Own || plan.Namespaces.User, true
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
