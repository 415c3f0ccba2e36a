package convert

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	"github.com/oci2bwrap/oci2bwrap/internal/inroot"
)

// cwd resolves the working directory and has it made where it is missing.
func (p *planner) cwd() string {
	const field = "process.cwd"
	name := cmp.Or(p.spec.Process.Cwd, "/")
	if !path.IsAbs(name) {
		p.fail(fmt.Errorf("%s: %q is not absolute", p.origin(field, field), name))
		return "/"
	}
	if r := p.view.region(path.Clean(name)); r.kind == regionKernel {
		name = path.Clean(name)
		if r.at == "/sys" && name != r.at && !p.host.Paths[name].IsDir() {
			p.fail(fmt.Errorf("%s: %q is no directory of the kernel's /sys", p.origin(field, field), name))
		}
		return name // what is in there only the kernel knows
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

// readOnlyMounts closes the mounts that are wanted read-only, once all mount
// points in them are made.
func (p *planner) readOnlyMounts() {
	for _, i := range p.readOnly {
		if dst := p.steps[i].Op.Dest(); p.view.region(dst).step == i {
			p.add(bwrap.RemountRO{Dst: dst}, p.steps[i].Why)
		}
	}
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
		if !file { // whoever mounts a file makes it there
			p.add(bwrap.Dir{Dst: at.Name, Mode: 0o755}, why)
		}
	case regionStore:
		if err := p.storePoint(at, file, why); err != nil {
			return err
		}
	case regionBind:
		return &hinted{fmt.Errorf("%q does not exist in the host directory that is bound to %s", at.Missing, r.at), "make it there before"}
	case regionKernel:
		return fmt.Errorf("%q does not exist in %s", at.Missing, r.at)
	}
	mode := fs.ModeDir | fs.FileMode(0o755)
	if file {
		mode = 0o644
	}
	p.view.make(at.Name, mode)
	return nil
}
