package convert

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	"github.com/oci2bwrap/oci2bwrap/internal/inroot"
)

// PlanOptions are what Plan needs beside the Spec, the root and the host.
type PlanOptions struct {
	Features bwrap.Features
	Files    map[string][]byte // content of mounts by Source, as in Result
	Origin   map[string]string // where parts of the Spec come from, as in Result

	StopSignal string // as in Result; SIGTERM where empty

	// KeepOrder mounts in the order of the Spec, as a runtime does. Otherwise
	// parents come before children by where their symlinks lead.
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
	p := &planner{spec: spec, root: root, host: host, PlanOptions: o, view: newView(root.FS)}
	p.mounts()
	p.masks()
	cwd := p.cwd()
	steps, err := p.rootSteps()
	if err != nil {
		p.fail(err)
	}
	if err := errors.Join(p.errs...); err != nil {
		return nil, err
	}
	plan := &bwrap.Plan{Version: bwrap.PlanVersion, Process: process(spec, cwd), Namespaces: namespaces(spec)}
	plan.Process.StopSignal = cmp.Or(o.StopSignal, "SIGTERM")
	plan.Steps = append(steps, p.steps...)
	if spec.Root.Readonly && !isBind(steps) {
		plan.Steps = append(plan.Steps, bwrap.Step{Op: bwrap.RemountRO{Dst: "/"}, Why: p.origin("root.readonly", "root.readonly")})
	}
	gaps, notes := Gaps(spec)
	return &Planned{Plan: plan, Gaps: append(gaps, p.gaps...), Notes: append(notes, p.notes...)}, plan.Check()
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

	view   *view
	steps  []bwrap.Step // all but those that make the root
	points []bwrap.Point
	errs   []error
	gaps   []Gap
	notes  []Note
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
		UID: int(in.User.UID), GID: int(in.User.GID), Umask: 0o022, OOMScoreAdj: in.OOMScoreAdj,
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
			Ambient: slices.Sorted(slices.Values(c.Ambient)),
		}
	}
	for _, l := range in.Rlimits {
		out.Rlimits = append(out.Rlimits, bwrap.Rlimit{Type: l.Type, Soft: l.Soft, Hard: l.Hard})
	}
	return out
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

// mounts plans the Spec's mounts, parents first.
func (p *planner) mounts() {
	for _, m := range p.ordered() {
		field := fmt.Sprintf("mounts[%s]", m.Destination)
		if err := p.mount(m); err != nil {
			p.fail(fmt.Errorf("%s: %w", p.origin(m.Destination, field), err))
		}
	}
}

// ordered sorts the mounts by where the image's symlinks lead them: a file
// for /etc/resolv.conf that is a link into /run has to come after /run.
func (p *planner) ordered() []specs.Mount {
	mounts := slices.Clone(p.spec.Mounts)
	if p.KeepOrder {
		return mounts
	}
	key := make(map[string]string)
	for _, m := range mounts {
		key[m.Destination] = path.Clean(m.Destination)
		if at, err := inroot.Resolve(p.view, m.Destination); err == nil {
			key[m.Destination] = at.Name
		}
	}
	slices.SortStableFunc(mounts, func(a, b specs.Mount) int {
		return comparePaths(key[a.Destination], key[b.Destination])
	})
	return mounts
}

// comparePaths orders a directory before what is in it.
func comparePaths(a, b string) int {
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
}

// masks plans linux.readonlyPaths and linux.maskedPaths, of those that the
// kernel has.
func (p *planner) masks() {
	for _, name := range p.spec.Linux.ReadonlyPaths {
		if _, ok := p.host.Paths[name]; ok && p.kernelPath(name, "linux.readonlyPaths") {
			p.add(bwrap.Bind{Src: name, Dst: name, ReadOnly: true}, "linux.readonlyPaths")
		}
	}
	for _, name := range p.spec.Linux.MaskedPaths {
		mode, ok := p.host.Paths[name]
		if !ok || !p.kernelPath(name, "linux.maskedPaths") {
			continue
		}
		if mode.IsDir() {
			p.add(bwrap.Tmpfs{Dst: name, Mode: 0o777 | fs.ModeSticky}, "linux.maskedPaths")
			p.add(bwrap.RemountRO{Dst: name}, "linux.maskedPaths")
			continue
		}
		p.add(bwrap.Bind{Src: "/dev/null", Dst: name, Devices: true}, "linux.maskedPaths")
	}
}

// kernelPath says whether name lies in a mounted procfs or sysfs, where what
// the host has is what the sandbox has. Elsewhere it can't be masked.
func (p *planner) kernelPath(name, field string) bool {
	switch {
	case path.Clean(name) != name || !path.IsAbs(name):
		p.fail(fmt.Errorf("%s: %q is not absolute and clean", field, name))
	case p.view.region(name).kind == regionKernel:
		return true
	default:
		p.gaps = append(p.gaps, Gap{Field: field, Effect: Weakens, Reason: fmt.Sprintf("%s is not below a mounted /proc or /sys", name)})
	}
	return false
}

// cwd resolves the working directory and has it made where it is missing.
func (p *planner) cwd() string {
	const field = "process.cwd"
	name := cmp.Or(p.spec.Process.Cwd, "/")
	if p.view.region(path.Clean(name)).kind == regionKernel {
		return path.Clean(name) // what is in there only the kernel knows
	}
	at, err := inroot.Resolve(p.view, name)
	if err != nil {
		p.fail(fmt.Errorf("%s: %w", p.origin(field, field), err))
		return "/"
	}
	if at.Missing == "" {
		if !at.Mode.IsDir() {
			p.fail(fmt.Errorf("%s: %q is not a directory", p.origin(field, field), name))
		}
		return at.Name
	}
	if err := p.point(at, false, p.origin(field, field)); err != nil {
		p.fail(fmt.Errorf("%s: %w", p.origin(field, field), err))
	}
	return at.Name
}

// point has a missing destination made, by whoever holds the place.
func (p *planner) point(at inroot.Path, file bool, why string) error {
	r := p.view.region(at.Name)
	switch r.kind {
	case regionRoot:
		p.points = append(p.points, bwrap.Point{Path: at.Name, File: file})
	case regionOverlay:
		o := p.steps[r.step].Op.(bwrap.Overlay)
		o.Points = append(o.Points, bwrap.Point{Path: at.Name, File: file})
		p.steps[r.step].Op = o
	case regionMemory:
		if !file { // bubblewrap makes the file that it binds over
			p.add(bwrap.Dir{Dst: at.Name, Mode: 0o755}, why)
		}
	case regionBind:
		return fmt.Errorf("%s does not exist in the host directory that is bound to %s", at.Missing, r.at)
	case regionKernel:
		return fmt.Errorf("%s does not exist in %s", at.Missing, r.at)
	}
	mode := fs.ModeDir | fs.FileMode(0o755)
	if file {
		mode = 0o644
	}
	p.view.make(at.Name, mode)
	return nil
}
