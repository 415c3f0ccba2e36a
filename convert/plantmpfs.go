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

// tmpfsWish is what a tmpfs is to be like.
type tmpfsWish struct {
	mode             *fs.FileMode
	size             int64 // 0 where none is given
	uid, gid         *int
	copyUp, readOnly bool
	attr             bwrap.Attr
	data             []string // options that tmpfs alone knows
}

// over gives the tmpfs with the options that are set.
func (o tmpfsWish) over(t bwrap.Tmpfs) bwrap.Tmpfs {
	t.Attr = o.attr
	if o.data != nil {
		t.Data = o.data
	}
	if o.mode != nil {
		t.Mode = *o.mode
	}
	if o.size != 0 {
		t.Size = o.size
	}
	if o.uid != nil {
		t.UID = *o.uid
	}
	if o.gid != nil {
		t.GID = *o.gid
	}
	return t
}

func tmpfsOptions(options []string) (o tmpfsWish, err error) {
	w := parseWords(options)
	o = tmpfsWish{copyUp: slices.Contains(options, "tmpcopyup"), readOnly: w.readOnly, attr: w.attr &^ (bwrap.Single | bwrap.Slave)}
	for _, option := range w.data {
		key, value, _ := strings.Cut(option, "=")
		switch key {
		case "mode":
			mode, err := octalMode(value)
			if err != nil {
				return o, fmt.Errorf("option %q: no octal mode", option)
			}
			o.mode = &mode
		case "uid", "gid":
			id, err := strconv.ParseUint(value, 10, 31)
			if err != nil {
				return o, fmt.Errorf("option %q: no id", option)
			}
			n := int(id)
			if key == "uid" {
				o.uid = &n
			} else {
				o.gid = &n
			}
		case "size":
			if strings.HasSuffix(value, "%") {
				o.data = append(o.data, option)
				continue
			}
			if o.size, err = parseSize(value); err != nil {
				return o, fmt.Errorf("option %q: %w", option, err)
			}
		default:
			if !slices.Contains(tmpfsData[:], key) {
				return o, fmt.Errorf("option %q: tmpfs has no such option", option)
			}
			o.data = append(o.data, option)
		}
	}
	return o, nil
}

// tmpfsData are the options of tmpfs that are handed on as they are.
var tmpfsData = [...]string{"nr_inodes", "nr_blocks", "huge", "mpol", "inode32", "inode64", "noswap"}

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
