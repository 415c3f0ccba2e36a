package convert

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	"github.com/oci2bwrap/oci2bwrap/internal/inroot"
)

// mount plans one mount of the Spec.
func (p *planner) mount(m specs.Mount, at inroot.Path) error {
	why := p.origin(m.Destination, "mounts")
	if (at.Name == "/nix" || at.Name == "/nix/store") && slices.Contains(m.Options, "tmpcopyup") {
		return fmt.Errorf("%q is %s, and would hide the programs in it", m.Destination, at.Name)
	}
	if at.Name == "/" {
		return fmt.Errorf("%q is the root itself", m.Destination)
	}
	if r := p.view.region(at.Name); r.kind == regionKernel && m.Type != "cgroup" && m.Type != "devpts" {
		return fmt.Errorf("%q lies in %s, which the kernel fills", m.Destination, r.at)
	}
	words := parseWords(m.Options)
	if !isBindMount(m) && wantsIDMap(m, words) {
		p.noIDMap(m, "only a bind can be id-mapped")
	}
	switch m.Type {
	case "proc", "sysfs", "devpts", "mqueue", "cgroup":
		return p.kernelMount(m, at, why)
	case "tmpfs":
		if p.isDev(m) {
			return p.devMount(m, at, why)
		}
		return p.tmpfsMount(m, at, why)
	case "overlay":
		return p.overlayMount(m, at, why)
	case "bind", "none", "":
		if m.Source == "/sys" && m.Destination == "/sys" && !wantsIDMap(m, words) {
			return p.sysMount(m, at, why)
		}
		return p.bindMount(m, at, why)
	}
	return fmt.Errorf("%q: bubblewrap can't mount a file system of type %q", m.Destination, m.Type)
}

// isDev recognises the tmpfs on /dev that bubblewrap makes with its nodes and
// its devpts in one go.
func (p *planner) isDev(m specs.Mount) bool {
	return path.Clean(m.Destination) == "/dev"
}

// kernelMount plans a file system of the kernel's. It has its fixed place; an
// image that has a symlink there would have it appear elsewhere.
func (p *planner) kernelMount(m specs.Mount, at inroot.Path, why string) error {
	if at.Name != path.Clean(m.Destination) {
		return fmt.Errorf("%q is a symlink in the image, to %q", m.Destination, at.Name)
	}
	if m.Type == "devpts" || m.Type == "cgroup" {
		// The one comes with /dev, the other with /sys.
		r := p.view.region(at.Name)
		if r.kind != regionKernel {
			return fmt.Errorf("%q: a %s is mounted only in the sandbox's own /dev or /sys", m.Destination, m.Type)
		}
		if m.Type == "devpts" {
			return p.pts(m, r.step)
		}
		p.cgroupMount(m, r, why)
		return nil
	}
	if m.Type == "sysfs" {
		return p.sysMount(m, at, why)
	}
	if err := p.directory(at, why); err != nil {
		return err
	}
	if m.Type == "mqueue" {
		p.view.mount(region{at: at.Name, kind: regionKernel, step: p.add(bwrap.Mqueue{Dst: at.Name, Attr: parseWords(m.Options).attr}, why)})
		return nil
	}
	p.view.mount(region{at: at.Name, kind: regionKernel, step: p.add(bwrap.Proc{Dst: at.Name}, why)})
	return nil
}

// directory makes sure that a directory can be mounted at the destination.
func (p *planner) directory(at inroot.Path, why string) error {
	if at.Missing != "" {
		return p.point(at, false, why)
	}
	if !at.Mode.IsDir() {
		return fmt.Errorf("%q is not a directory", at.Name)
	}
	return nil
}

// bindMount plans a host file or directory, or content that was read before.
func (p *planner) bindMount(m specs.Mount, at inroot.Path, why string) error {
	w := parseWords(m.Options)
	data, ok := p.Files[m.Source]
	if !ok && isDefault(p.Origin[m.Destination]) { // who asks for the host's file gets the file itself
		data, ok = p.host.Files[m.Source]
	}
	if ok {
		if p.leftOut(m, at) {
			p.notes = append(p.notes, Note{Field: p.field(m.Destination), Text: fmt.Sprintf("left out: %q does not exist in what -v shows there", at.Missing)})
			return nil
		}
		if err := p.file(at, why); err != nil {
			return err
		}
		p.view.mount(region{at: at.Name, kind: regionBind, mode: 0o644, step: p.add(bwrap.File{Dst: at.Name, Mode: 0o644, Data: data, ReadOnly: w.readOnly, Attr: w.attr &^ (bwrap.Single | bwrap.Slave)}, why)})
		return nil
	}
	mode, ok := p.host.Paths[m.Source]
	if !path.IsAbs(m.Source) || !ok {
		return p.lacking("source ", m.Source)
	}
	r := region{at: at.Name, kind: regionBind, dir: "."}
	if mode.IsDir() {
		if at.Missing == "" && !at.Mode.IsDir() {
			return &hinted{fmt.Errorf("%q is a file, the source is a directory", at.Name), "show a file of that directory there, or the directory at another place"}
		}
		if err := p.directory(at, why); err != nil {
			return err
		}
		fsys, err := p.host.Dir(m.Source)
		if err != nil {
			return err
		}
		r.fsys = fsys
	} else {
		if err := p.file(at, why); err != nil {
			return err
		}
		r.mode = mode.Type() | 0o644
	}
	if times := w.attr & (bwrap.NoAtime | bwrap.StrictAtime | bwrap.NoDirAtime); times != 0 && p.userNamespace() {
		p.gaps = append(p.gaps, Gap{
			Field: "mounts[" + m.Destination + "].options", Effect: Lacks,
			Reason: strings.Join(times.Words(), ", ") + ": the kernel lets only real root change how a mount of the host keeps access times",
		})
		w.attr &^= times
	}
	b := bwrap.Bind{Src: path.Clean(m.Source), Dst: at.Name, ReadOnly: w.readOnly, Attr: w.attr}
	// A device node is bound to be used.
	b.Devices = mode&fs.ModeDevice != 0 && !w.nodev
	if err := p.idMapped(m, w, &b); err != nil {
		return err
	}
	r.step = p.add(b, why)
	p.view.mount(r)
	return nil
}

// lacking is the error for a path of the host that is not in Paths.
func (p *planner) lacking(what, name string) error {
	if why, ok := p.host.Denied[name]; ok {
		return &hinted{fmt.Errorf("%s%q can't be reached: %s", what, name, why), "let it be reached: chmod o+x or setfacl, for a FUSE file system allow_other"}
	}
	return fmt.Errorf("%s%q does not exist", what, name)
}

// leftOut says of a default file that a host directory has taken its place,
// or a store path that nothing can be laid over: nothing is made there, and
// who asked for the directory did not ask for the file.
func (p *planner) leftOut(m specs.Mount, at inroot.Path) bool {
	return at.Missing != "" && isDefault(p.Origin[m.Destination]) && p.cantMake(at.Name)
}

// file makes sure that a file can be mounted at the destination.
func (p *planner) file(at inroot.Path, why string) error {
	if at.Missing != "" {
		return p.point(at, true, why)
	}
	if at.Mode.IsDir() {
		return &hinted{fmt.Errorf("%q is a directory, the source is a file", at.Name), "name the file: SRC:" + path.Join(at.Name, "NAME")}
	}
	return nil
}

// cantMake says that no mount point can be made at a place.
func (p *planner) cantMake(name string) bool {
	kind := p.view.region(name).kind
	return kind == regionBind || kind == regionStore && !p.Features.StageOverlay
}
