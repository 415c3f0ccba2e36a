package convert

import (
	"fmt"
	"io/fs"
	"path"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	"github.com/oci2bwrap/oci2bwrap/internal/inroot"
)

// mount plans one mount of the Spec.
func (p *planner) mount(m specs.Mount) error {
	why := p.origin(m.Destination, "mounts")
	at, err := inroot.Resolve(p.view, m.Destination)
	if err != nil {
		return err
	}
	if at.Name == "/" {
		return fmt.Errorf("%q is the root itself", m.Destination)
	}
	if p.view.region(at.Name).kind == regionKernel && m.Type != "cgroup" {
		return fmt.Errorf("%q lies in %s, which shows the kernel", m.Destination, p.view.region(at.Name).at)
	}
	switch m.Type {
	case "proc", "sysfs", "devpts", "mqueue", "cgroup":
		return p.kernelMount(m, at, why)
	case "tmpfs":
		if p.isDev(m) {
			return p.devMount(m, at, why)
		}
		return p.tmpfsMount(m, at, why)
	case "bind", "none", "":
		if m.Source == "/sys" && m.Destination == "/sys" {
			return p.sysMount(at, why)
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
		return nil // devpts comes with /dev, the cgroups with /sys
	}
	if m.Type == "sysfs" {
		return p.sysMount(at, why)
	}
	if err := p.directory(at, why); err != nil {
		return err
	}
	if m.Type == "mqueue" {
		p.view.mount(region{at: at.Name, kind: regionMemory, step: p.add(bwrap.Mqueue{Dst: at.Name}, why)})
		return nil
	}
	p.view.mount(region{at: at.Name, kind: regionKernel, step: p.add(bwrap.Proc{Dst: at.Name}, why)})
	return nil
}

// sysMount shows the host's /sys: a sysfs of its own belongs to whoever owns
// the network namespace.
func (p *planner) sysMount(at inroot.Path, why string) error {
	if at.Name != "/sys" {
		return fmt.Errorf("%q is a symlink in the image, to %q", "/sys", at.Name)
	}
	if err := p.directory(at, why); err != nil {
		return err
	}
	step := p.add(bwrap.Bind{Src: "/sys", Dst: at.Name, ReadOnly: true}, why)
	p.view.mount(region{at: at.Name, kind: regionKernel, step: step})
	return nil
}

func (p *planner) devMount(m specs.Mount, at inroot.Path, why string) error {
	if at.Name != "/dev" {
		return fmt.Errorf("%q is a symlink in the image, to %q", m.Destination, at.Name)
	}
	if err := p.directory(at, why); err != nil {
		return err
	}
	p.view.mount(region{at: at.Name, kind: regionMemory, step: p.add(bwrap.Dev{Dst: at.Name}, why)})
	p.view.make("/dev/pts", fs.ModeDir|0o755)
	p.view.make("/dev/shm", fs.ModeDir|0o755)
	for _, node := range []string{"null", "zero", "full", "random", "urandom", "tty", "ptmx", "stdin", "stdout", "stderr", "fd", "core"} {
		p.view.make("/dev/"+node, fs.ModeDevice|fs.ModeCharDevice|0o666)
	}
	return nil
}

// directory makes sure that a directory can be mounted at the destination.
func (p *planner) directory(at inroot.Path, why string) error {
	if at.Missing != "" {
		return p.point(at, false, why)
	}
	if !at.Mode.IsDir() {
		return fmt.Errorf("%q is not a directory in the image", at.Name)
	}
	return nil
}

// bindMount plans a host file or directory, or content that was read before.
func (p *planner) bindMount(m specs.Mount, at inroot.Path, why string) error {
	readOnly := slices.Contains(m.Options, "ro") || slices.Contains(m.Options, "rro")
	data, ok := p.Files[m.Source]
	if !ok {
		data, ok = p.host.Files[m.Source]
	}
	if ok {
		if err := p.file(at, why); err != nil {
			return err
		}
		p.view.mount(region{at: at.Name, kind: regionBind, step: p.add(bwrap.File{Dst: at.Name, Mode: 0o644, Data: data, ReadOnly: readOnly}, why)})
		return nil
	}
	mode, ok := p.host.Paths[m.Source]
	if !path.IsAbs(m.Source) || !ok {
		return fmt.Errorf("source %q does not exist", m.Source)
	}
	r := region{at: at.Name, kind: regionBind, dir: "."}
	if mode.IsDir() {
		if err := p.directory(at, why); err != nil {
			return err
		}
		fsys, err := p.host.Dir(m.Source)
		if err != nil {
			return err
		}
		r.fsys = fsys
	} else if err := p.file(at, why); err != nil {
		return err
	}
	r.step = p.add(bwrap.Bind{Src: path.Clean(m.Source), Dst: at.Name, ReadOnly: readOnly}, why)
	p.view.mount(r)
	return nil
}

// file makes sure that a file can be mounted at the destination.
func (p *planner) file(at inroot.Path, why string) error {
	if at.Missing != "" {
		return p.point(at, true, why)
	}
	if at.Mode.IsDir() {
		return fmt.Errorf("%q is a directory in the image, the source is a file", at.Name)
	}
	return nil
}
