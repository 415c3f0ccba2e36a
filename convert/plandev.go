package convert

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	"github.com/oci2bwrap/oci2bwrap/internal/inroot"
)

// devMount plans a /dev: the tmpfs, the usual nodes and links, and a devpts,
// whose own mount of the Spec has only options to add.
func (p *planner) devMount(m specs.Mount, at inroot.Path, why string) error {
	if at.Name != "/dev" {
		return fmt.Errorf("%q is a symlink in the image, to %q", m.Destination, at.Name)
	}
	if err := p.directory(at, why); err != nil {
		return err
	}
	o, err := tmpfsOptions(m.Options)
	if err != nil {
		return err
	}
	d := bwrap.Dev{Dst: at.Name, Size: o.size, Attr: o.attr}
	if o.mode != nil {
		d.Mode = *o.mode
	}
	step := p.add(d, why)
	p.view.mount(region{at: at.Name, kind: regionMemory, step: step})
	p.view.mount(region{at: "/dev/pts", kind: regionKernel, step: step})
	p.view.make("/dev/shm", fs.ModeDir|fs.ModeSticky|0o777) // for a tmpfs there: a runtime's /dev has no such directory
	for _, node := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		p.view.make("/dev/"+node, fs.ModeDevice|fs.ModeCharDevice|0o666)
	}
	for _, link := range [][2]string{
		{"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"},
		{"core", "/proc/kcore"}, {"ptmx", "pts/ptmx"},
	} {
		p.view.link("/dev/"+link[0], link[1])
	}
	return nil
}

// pts takes the options of the devpts over to the /dev that it comes with.
func (p *planner) pts(m specs.Mount, dev int) error {
	d, ok := p.steps[dev].Op.(bwrap.Dev)
	if !ok {
		return nil
	}
	w := parseWords(m.Options)
	d.Pts = bwrap.Pts{Attr: w.attr}
	for _, o := range w.data {
		key, value, _ := strings.Cut(o, "=")
		var err error
		switch key {
		case "newinstance":
		case "mode":
			d.Pts.Mode, err = octalMode(value)
		case "ptmxmode":
			d.Pts.PtmxMode, err = octalMode(value)
		case "gid":
			d.Pts.GID, err = strconv.Atoi(value)
		default:
			p.notApplied(m.Destination, o)
		}
		if err != nil {
			return fmt.Errorf("option %q: %w", o, err)
		}
	}
	p.steps[dev].Op = d
	return nil
}

func octalMode(s string) (fs.FileMode, error) {
	bits, err := strconv.ParseUint(s, 8, 12)
	if err != nil {
		return 0, fmt.Errorf("%q is no octal mode", s)
	}
	return fileMode(uint32(bits)), nil
}

func (p *planner) notApplied(destination, option string) {
	p.notes = append(p.notes, Note{Field: "mounts[" + destination + "].options", Text: "not applied: " + option})
}
