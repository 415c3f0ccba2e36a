package convert

import (
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

// tmpfsMount plans a tmpfs, seeded where it is a tmpcopyup: an empty
// directory of the image needs only its mode and owner, a full one an
// overlay. Without a mode of its own it has that of the directory which it
// covers, and where there is none tmpfs' default.
func (p *planner) tmpfsMount(m specs.Mount, at inroot.Path, why string) error {
	o, err := tmpfsOptions(m.Options)
	if err != nil {
		return err
	}
	if at.Missing != "" {
		if err := p.point(at, false, why); err != nil {
			return err
		}
		t := bwrap.Tmpfs{Dst: at.Name, Mode: 0o777 | fs.ModeSticky}
		// What hides the image's directory does not hide what a volume is like.
		if info, _ := p.root.look(m.Destination); o.copyUp && info != nil && info.IsDir() {
			p.alike(&t, info)
		}
		p.memory(o.over(t), o, why)
		return nil
	}
	if !at.Mode.IsDir() {
		return fmt.Errorf("%q is not a directory", m.Destination)
	}
	r := p.view.region(at.Name)
	if o.copyUp && r.at == at.Name && (r.kind == regionMemory || r.kind == regionOverlay) {
		p.again(r, o, why)
		return nil
	}
	t := bwrap.Tmpfs{Dst: at.Name, Mode: at.Mode &^ fs.ModeType}
	info, fsys, dir := p.shown(at.Name)
	if info == nil || !o.copyUp {
		p.memory(o.over(t), o, why)
		return nil
	}
	empty, err := isEmpty(fsys, dir)
	if err != nil {
		return err
	}
	switch hosts := r.kind == regionBind || r.host; {
	case hosts && !empty:
		p.unseeded(t.Dst, "a directory of the host is bound to "+r.at, "bind a directory to it with -v as well")
		fallthrough
	case hosts:
		p.memory(o.over(t), o, why)
	case empty:
		p.alike(&t, info)
		p.memory(o.over(t), o, why)
	case r.kind == regionOverlay && p.root.merged():
		p.shared(t.Dst, r.at, o)
	default:
		p.alike(&t, info)
		p.seeded(o.over(t), o, why)
	}
	return nil
}

// shared leaves a directory to the overlay that it lies in, which shows what
// the image has there and takes the writes. One of its own would lie on that,
// and that on the one which merges the root: more than the kernel stacks.
func (p *planner) shared(dst, overlay string, o tmpfsWish) {
	if o.mode != nil || o.size > 0 || o.readOnly {
		p.gaps = append(p.gaps, Gap{
			Field: "mounts[" + dst + "].options", Effect: Lacks, Remedy: "leave what the image has there out with notmpcopyup",
			Reason: "mode, size and ro need a mount of its own, which can't be stacked on the one at " + overlay + " where the root is merged",
		})
	}
}

// alike gives the tmpfs the image's mode and owner.
func (p *planner) alike(t *bwrap.Tmpfs, info fs.FileInfo) {
	t.Mode = info.Mode() &^ fs.ModeType
	if p.root.Owner != nil {
		t.UID, t.GID = p.root.Owner(info)
	}
	if p.unwritable(info) {
		t.Mode |= 0o200
		if p.root.Owner != nil {
			t.UID, t.GID = int(p.spec.Process.User.UID), int(p.spec.Process.User.GID)
		}
	}
}

// again is for a second tmpfs on one place, where a link has led here before:
// what the first shows stays, with the options of the second.
func (p *planner) again(r region, o tmpfsWish, why string) {
	p.steps[r.step].Why = why
	switch op := p.steps[r.step].Op.(type) {
	case bwrap.Tmpfs:
		p.steps[r.step].Op = o.over(op)
	case bwrap.Overlay:
		t := o.over(bwrap.Tmpfs{Mode: op.Mode, Size: op.Size})
		op.Mode, op.Size, op.Attr = t.Mode, t.Size, t.Attr
		p.steps[r.step].Op = op
		p.unsized(t)
	}
	if o.readOnly && !slices.Contains(p.readOnly, r.step) {
		p.readOnly = append(p.readOnly, r.step)
	}
}

func (p *planner) memory(t bwrap.Tmpfs, o tmpfsWish, why string) {
	if (t.UID != 0 || t.GID != 0) && !p.Features.Stage {
		p.notes = append(p.notes, Note{Field: t.Dst, Text: fmt.Sprintf("belongs to 0:0, not to %d:%d: %s", t.UID, t.GID, p.Features.Reason)})
		t.UID, t.GID = 0, 0
	}
	p.mounted(region{at: t.Dst, kind: regionMemory, mode: fs.ModeDir | t.Mode}, t, o, why)
}

func (p *planner) mounted(r region, op bwrap.Op, o tmpfsWish, why string) {
	r.step = p.add(op, why)
	if o.readOnly {
		p.readOnly = append(p.readOnly, r.step)
	}
	p.view.mount(r)
}

// seeded shows the image's directory under a layer that takes the writes.
func (p *planner) seeded(t bwrap.Tmpfs, wish tmpfsWish, why string) {
	if !p.canSeed() {
		p.unseeded(t.Dst, "what the image has there can't be shown without overlayfs: "+p.Features.Reason, "bind a directory with -v")
		p.memory(t, wish, why)
		return
	}
	p.unsized(t)
	o := bwrap.Overlay{Dst: t.Dst, Mode: t.Mode, Size: t.Size, Attr: t.Attr, Owned: p.root.Owned, Merged: p.root.merged()}
	if info, _, _ := p.shown(t.Dst); info != nil && p.unwritable(info) {
		o.Owner = &bwrap.Owner{UID: t.UID, GID: t.GID}
	}
	shown := region{at: t.Dst, fsys: p.view.base, dir: strings.TrimPrefix(t.Dst, "/"), kind: regionOverlay}
	if p.view.region(t.Dst).kind == regionStore {
		shown.fsys, shown.dir = p.view.locate(t.Dst)
		o.Merged, o.Owned, o.Lower = false, false, []string{p.root.Store.source(shown.dir)}
	} else if !o.Merged {
		o.Lower = []string{path.Join(p.root.Dirs[0], t.Dst)}
	}
	p.mounted(shown, o, wish, why)
}

func (p *planner) unseeded(dst, reason, remedy string) {
	p.gaps = append(p.gaps, Gap{Field: "mounts[" + dst + "].options.tmpcopyup", Effect: Lacks, Reason: reason, Remedy: remedy})
}

// unsized tells of limits that an overlay has no place for.
func (p *planner) unsized(t bwrap.Tmpfs) {
	var left []string
	if t.Size > 0 && !p.Features.Stage {
		left = append(left, "size")
	}
	left = append(left, t.Data...)
	if len(left) > 0 {
		p.gaps = append(p.gaps, Gap{
			Field: "mounts[" + t.Dst + "].options", Effect: Lacks,
			Reason: strings.Join(left, ", ") + ": an overlay on what the image has there has no such limit",
			Remedy: "leave what the image has there out with notmpcopyup",
		})
	}
}

// shown gives the directory of the image or the host that is seen at a
// resolved destination; nil where there is only what the plan makes. One of
// the image's has the same name in the image: nothing shows it elsewhere.
func (p *planner) shown(name string) (fs.FileInfo, fs.ReadLinkFS, string) {
	if _, made := p.view.made[name]; made {
		return nil, nil, ""
	}
	fsys, dir := p.view.locate(name)
	if fsys == nil {
		return nil, nil, ""
	}
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
