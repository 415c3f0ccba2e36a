package convert

import (
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
	ordinary := p.host.ordinary()
	if ordinary && !n.User {
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

// ordinary says that the caller has no rights beyond a user's: its sandboxes
// need a user namespace.
func (h Host) ordinary() bool { return h.UID != 0 || h.Confined }
