package convert

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// PlanOptions are what Plan needs beside the Spec, the root and the host.
type PlanOptions struct {
	Features bwrap.Features
	Files    map[string][]byte // content of mounts by Source, as in Result
	Origin   map[string]string // where parts of the Spec come from, as in Result

	StopSignal string // as in Result; SIGTERM where empty
	Init       bool   // a reaper as process 1, for which a Spec has no field

	// KeepOrder mounts in the order of the Spec, as a runtime does. Otherwise
	// parents come before children by where their symlinks lead, and of two
	// on one place the default comes before the image's and a flag's is last.
	KeepOrder bool
}

// Planned is a plan, what it can't honour, and what the user should know.
type Planned struct {
	Plan  *bwrap.Plan
	Gaps  []Gap
	Notes []Note
}

// Plan turns a Spec into what bubblewrap is to do. Every destination in it is
// resolved inside the root as it will stand at that point. Faults of the Spec
// are reported all at once; what the Spec wishes and bubblewrap can't do is
// no fault but a Gap.
func Plan(spec *specs.Spec, root Rootfs, host Host, o PlanOptions) (*Planned, error) {
	if spec.Process == nil || spec.Root == nil || spec.Linux == nil {
		return nil, errors.New("spec: process, root and linux are needed")
	}
	p := &planner{spec: spec, root: root, host: host, PlanOptions: o}
	p.mounts()
	p.namespaceFaults()
	p.devices()
	p.boundDevices()
	cwd := p.cwd()
	p.masks()
	p.readOnlyMounts()
	proc := process(spec, cwd)
	p.limits(&proc)
	p.schedule(&proc)
	p.filter(&proc)
	steps, err := p.rootSteps()
	if err != nil {
		p.fail(err)
	}
	plan := &bwrap.Plan{Version: bwrap.PlanVersion, Process: proc, Namespaces: namespaces(spec)}
	p.kernel(plan)
	if err := errors.Join(p.errs...); err != nil {
		return nil, err
	}
	plan.Process.StopSignal, plan.Process.Init = cmp.Or(o.StopSignal, "SIGTERM"), o.Init
	plan.Steps = append(steps, p.steps...)
	if spec.Root.Readonly && !isBind(steps) {
		plan.Steps = append(plan.Steps, bwrap.Step{Op: bwrap.RemountRO{Dst: "/"}, Why: p.origin("root.readonly", "root.readonly")})
	}
	p.spaces(plan)
	p.time(plan)
	p.join(plan)
	p.cgroup(plan)
	if err := errors.Join(append(p.errs, plan.Check())...); err != nil {
		return nil, err
	}
	p.withoutStage(plan)
	gaps, notes := Gaps(spec)
	return &Planned{Plan: plan, Gaps: append(gaps, p.gaps...), Notes: append(notes, p.notes...)}, nil
}

// isBind says whether the root is a plain bind, which is read-only by itself.
func isBind(steps []bwrap.Step) bool {
	_, ok := steps[0].Op.(bwrap.Bind)
	return ok
}

type planner struct {
	spec *specs.Spec
	root Rootfs
	host Host
	PlanOptions

	planning
}

// planning is what a pass over the mounts builds up.
type planning struct {
	view     *view
	steps    []bwrap.Step // all but those that make the root
	points   []bwrap.Point
	readOnly []int // the steps of mounts to be made read-only when all is in them
	errs     []error
	gaps     []Gap
	notes    []Note
}

// withoutStage tells of the attributes that bubblewrap's own mounts can't
// have, of the mounts that somebody asked for.
func (p *planner) withoutStage(plan *bwrap.Plan) {
	if p.Features.Stage {
		return
	}
	for _, s := range plan.Steps {
		var words []string
		switch o := s.Op.(type) {
		case bwrap.Bind:
			words = (o.Attr &^ bwrap.Device).Words()
		case bwrap.Tmpfs:
			words = append(o.Attr.Words(), o.Data...)
		}
		if len(words) > 0 && !isDefault(s.Why) {
			p.notes = append(p.notes, Note{
				Field: "mounts[" + s.Op.Dest() + "].options", Text: fmt.Sprintf("not applied: %s: %s", strings.Join(words, ", "), p.Features.Reason),
			})
		}
	}
}

func (p *planner) fail(err error) { p.errs = append(p.errs, err) }

func (p *planner) add(op bwrap.Op, why string) int {
	p.steps = append(p.steps, bwrap.Step{Op: op, Why: why})
	return len(p.steps) - 1
}

// origin tells where something comes from, or its place in the Spec.
func (p *planner) origin(key, fallback string) string {
	return cmp.Or(p.Origin[key], fallback)
}

// process carries the Spec's process over; the init does the rest.
func process(spec *specs.Spec, cwd string) bwrap.Process {
	in := spec.Process
	out := bwrap.Process{
		Args: in.Args, Env: in.Env, Cwd: cwd, Terminal: in.Terminal,
		UID: int(in.User.UID), GID: int(in.User.GID), Umask: 0o022, StartHooks: startHooks(spec),
	}
	if b := in.ConsoleSize; b != nil && in.Terminal {
		out.Rows, out.Columns = uint16(min(b.Height, math.MaxUint16)), uint16(min(b.Width, math.MaxUint16))
	}
	if in.User.Umask != nil {
		out.Umask = int(*in.User.Umask)
	}
	for _, g := range in.User.AdditionalGids {
		if mapped(spec.Linux.GIDMappings, g) { // Gaps names the others
			out.Groups = append(out.Groups, int(g))
		}
	}
	if c := in.Capabilities; c != nil {
		out.Capabilities = bwrap.Capabilities{
			Bounding: slices.Sorted(slices.Values(c.Bounding)), Effective: slices.Sorted(slices.Values(c.Effective)),
			Permitted: slices.Sorted(slices.Values(c.Permitted)), Inheritable: slices.Sorted(slices.Values(c.Inheritable)),
			Ambient: ambient(c),
		}
	}
	return out
}

// ambient are the capabilities of the ambient set that can be in it: the kernel
// has none there that is not permitted and inheritable as well (capabilities(7)),
// and "runc spec" writes such a set. Runtimes leave out what the kernel refuses.
func ambient(c *specs.LinuxCapabilities) []string {
	return slices.DeleteFunc(slices.Sorted(slices.Values(c.Ambient)), func(name string) bool {
		return !slices.Contains(c.Permitted, name) || !slices.Contains(c.Inheritable, name)
	})
}

// mapped says whether the id exists in the container; without mappings all do.
func mapped(mappings []specs.LinuxIDMapping, id uint32) bool {
	return len(mappings) == 0 || slices.ContainsFunc(mappings, func(m specs.LinuxIDMapping) bool {
		return id >= m.ContainerID && id-m.ContainerID < m.Size
	})
}

func namespaces(spec *specs.Spec) bwrap.Namespaces {
	n := bwrap.Namespaces{Hostname: spec.Hostname}
	for _, ns := range spec.Linux.Namespaces {
		switch ns.Type {
		case specs.UserNamespace:
			n.User = true
		case specs.PIDNamespace:
			n.PID = true
		case specs.IPCNamespace:
			n.IPC = true
		case specs.UTSNamespace:
			n.UTS = true
		case specs.NetworkNamespace:
			n.Net = true
		case specs.CgroupNamespace:
			n.Cgroup = true
		}
	}
	return n
}
