package convert

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	"github.com/oci2bwrap/oci2bwrap/internal/inroot"
)

// tmpfsMount plans a tmpfs, seeded where it is a tmpcopyup: an empty
// directory of the image needs only its mode and owner, a full one an
// overlay.
func (p *planner) tmpfsMount(m specs.Mount, at inroot.Path, why string) error {
	t := bwrap.Tmpfs{Dst: at.Name, Mode: 0o755}
	if path.Clean(m.Destination) == "/dev/shm" {
		t.Mode = 0o777 | fs.ModeSticky
	}
	modeSet, err := tmpfsOptions(&t, m.Options)
	if err != nil {
		return err
	}
	if at.Missing != "" {
		if err := p.point(at, false, why); err != nil {
			return err
		}
		p.memory(t, why)
		return nil
	}
	if !at.Mode.IsDir() {
		return fmt.Errorf("%q is not a directory in the image", m.Destination)
	}
	if r := p.view.region(at.Name); r.at == at.Name && r.kind != regionBind && slices.Contains(m.Options, "tmpcopyup") {
		return nil // a link has led here before: it is writable already
	}
	info, fsys, dir := p.imageDir(at.Name)
	if info == nil || !slices.Contains(m.Options, "tmpcopyup") {
		p.memory(t, why)
		return nil
	}
	if !modeSet {
		t.Mode = info.Mode() &^ fs.ModeType
	}
	if p.root.Owner != nil {
		t.UID, t.GID = p.root.Owner(info)
	}
	empty, err := isEmpty(fsys, dir)
	if err != nil {
		return err
	}
	if empty {
		p.memory(t, why)
		return nil
	}
	return p.seeded(t, why)
}

func (p *planner) memory(t bwrap.Tmpfs, why string) {
	p.view.mount(region{at: t.Dst, kind: regionMemory, step: p.add(t, why)})
	if t.UID != 0 || t.GID != 0 {
		if !p.Features.Stage {
			p.notes = append(p.notes, Note{Field: t.Dst, Text: fmt.Sprintf("belongs to 0:0, not to %d:%d: %s", t.UID, t.GID, p.Features.Reason)})
			t.UID, t.GID = 0, 0
			p.steps[len(p.steps)-1].Op = t
		}
	}
}

// seeded shows the image's directory under a layer that takes the writes.
func (p *planner) seeded(t bwrap.Tmpfs, why string) error {
	if !p.Features.CanOverlay() {
		p.gaps = append(p.gaps, Gap{
			Field: "mounts[" + t.Dst + "].options.tmpcopyup", Effect: Lacks,
			Reason: "what the image has there can't be shown without overlayfs: " + p.Features.Reason,
			Remedy: "bind a directory with -v",
		})
		p.memory(t, why)
		return nil
	}
	o := bwrap.Overlay{Dst: t.Dst, Mode: t.Mode, Owned: p.root.Owned}
	for _, dir := range p.root.Dirs {
		o.Lower = append(o.Lower, path.Join(dir, t.Dst))
	}
	p.view.mount(region{at: t.Dst, fsys: p.view.base, dir: strings.TrimPrefix(t.Dst, "/"), kind: regionOverlay, step: p.add(o, why)})
	return nil
}

// imageDir gives the image's own directory at a resolved destination; nil
// where something else is mounted over it.
func (p *planner) imageDir(name string) (fs.FileInfo, fs.ReadLinkFS, string) {
	r := p.view.region(name)
	if r.kind != regionRoot && r.kind != regionOverlay {
		return nil, nil, ""
	}
	if _, made := p.view.made[name]; made {
		return nil, nil, ""
	}
	fsys, dir := p.view.locate(name)
	info, err := fsys.Lstat(dir)
	if err != nil || !info.IsDir() {
		return nil, nil, ""
	}
	return info, fsys, dir
}

func isEmpty(fsys fs.FS, dir string) (bool, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if errors.Is(err, fs.ErrPermission) {
		return true, nil // what the caller can't read, it can't show
	}
	return len(entries) == 0, err
}

// tmpfsOptions reads what of mount(8)'s options bubblewrap can give.
func tmpfsOptions(t *bwrap.Tmpfs, options []string) (modeSet bool, err error) {
	for _, o := range options {
		key, value, _ := strings.Cut(o, "=")
		switch key {
		case "mode":
			mode, err := strconv.ParseUint(value, 8, 12)
			if err != nil {
				return false, fmt.Errorf("option %q: no octal mode", o)
			}
			t.Mode, modeSet = fileMode(uint32(mode)), true
		case "uid", "gid":
			id, err := strconv.ParseUint(value, 10, 31)
			if err != nil {
				return false, fmt.Errorf("option %q: no id", o)
			}
			if key == "uid" {
				t.UID = int(id)
			} else {
				t.GID = int(id)
			}
		case "size":
			if t.Size, err = parseSize(value); err != nil {
				return false, fmt.Errorf("option %q: %w", o, err)
			}
		}
	}
	return modeSet, nil
}

// fileMode turns the twelve bits of chmod(2) into Go's.
func fileMode(bits uint32) fs.FileMode {
	m := fs.FileMode(bits & 0o777)
	if bits&0o4000 != 0 {
		m |= fs.ModeSetuid
	}
	if bits&0o2000 != 0 {
		m |= fs.ModeSetgid
	}
	if bits&0o1000 != 0 {
		m |= fs.ModeSticky
	}
	return m
}

// parseSize reads a number of bytes with tmpfs' suffixes k, m and g.
func parseSize(s string) (int64, error) {
	shift := 0
	if s != "" {
		shift = map[byte]int{'k': 10, 'm': 20, 'g': 30}[s[len(s)-1]|0x20]
	}
	if shift != 0 {
		s = s[:len(s)-1]
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > (1<<62)>>shift {
		return 0, errors.New("no size in bytes, or with k, m or g")
	}
	return n << shift, nil
}
