package convert

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	"github.com/oci2bwrap/oci2bwrap/internal/inroot"
)

// masks plans linux.readonlyPaths and linux.maskedPaths, of those that exist.
func (p *planner) masks() {
	for _, name := range p.spec.Linux.ReadonlyPaths {
		p.readOnlyPath(name)
	}
	for _, name := range p.spec.Linux.MaskedPaths {
		p.mask(name)
	}
}

func (p *planner) readOnlyPath(name string) {
	const field = "linux.readonlyPaths"
	f, ok := p.existing(name, field)
	r := p.view.region(f.name)
	switch {
	case !ok:
	case f.kernel && ofProcess(f.name):
		p.weakens(field, name, "is of a process, which is another one on the host")
	case f.kernel:
		p.add(bwrap.Bind{Src: f.name, Dst: f.name, ReadOnly: true}, field)
	case r.kind == regionRoot && p.spec.Root.Readonly:
	case r.at == f.name:
		p.add(bwrap.RemountRO{Dst: f.name}, field)
	default:
		p.weakens(field, name, "is neither a mount nor below a mounted /proc or /sys")
	}
}

func (p *planner) mask(name string) {
	const field = "linux.maskedPaths"
	f, ok := p.existing(name, field)
	if !ok {
		return
	}
	r := region{at: f.name, kind: regionMemory, mode: f.mode}
	if f.mode.IsDir() {
		r.step = p.add(bwrap.Tmpfs{Dst: f.name, Mode: 0o777 | fs.ModeSticky, Attr: bwrap.Device}, field)
		p.add(bwrap.RemountRO{Dst: f.name}, field)
	} else {
		r.step = p.add(bwrap.Bind{Src: "/dev/null", Dst: f.name, Devices: true}, field)
	}
	if !f.kernel {
		p.view.mount(r)
	}
}

// found is what a masked or read-only path leads to.
type found struct {
	name   string
	mode   fs.FileMode
	kernel bool // in the /proc or /sys, where what the host has is what the sandbox has
}

// existing says whether there is something at the name, and what.
func (p *planner) existing(name, field string) (found, bool) {
	if path.Clean(name) != name || !path.IsAbs(name) || name == "/" {
		p.fail(fmt.Errorf("%s: %q is not absolute and clean", field, name))
		return found{}, false
	}
	if r := p.view.region(name); r.kind == regionKernel {
		mode, ok := p.host.Paths[name]
		if r.at != "/proc" && r.at != "/sys" {
			p.weakens(field, name, "is in a file system of the kernel's at an unusual place")
			return found{}, false
		}
		return found{name: name, mode: mode, kernel: true}, ok
	}
	at, err := inroot.Resolve(p.view, name)
	switch {
	case err != nil: // what can't be reached needs no mask
		return found{}, false
	case at.Name == "/" || p.view.region(at.Name).kind == regionKernel:
		p.weakens(field, name, "is a link to "+at.Name)
		return found{}, false
	case at.Missing != "":
		return found{}, false
	}
	return found{name: at.Name, mode: at.Mode}, true
}

// ofProcess says whether the path is that of a single process.
func ofProcess(name string) bool {
	rest, ok := strings.CutPrefix(name, "/proc/")
	first, _, _ := strings.Cut(rest, "/")
	return ok && (first == "self" || first == "thread-self" || strings.Trim(first, "0123456789") == "")
}

func (p *planner) weakens(field, name, reason string) {
	p.gaps = append(p.gaps, Gap{Field: field, Effect: Weakens, Reason: fmt.Sprintf("%q %s", name, reason)})
}
