package convert

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// rootSteps makes /: a plain bind where every mount point exists, an overlay
// where some are missing, several directories are merged or writes are
// wanted, and otherwise a root of single binds.
func (p *planner) rootSteps() ([]bwrap.Step, error) {
	why := p.origin("root", "root.path")
	if p.spec.Root.Readonly && len(p.points) == 0 && !p.root.merged() {
		return []bwrap.Step{{Op: bwrap.Bind{Src: p.root.Dirs[0], Dst: "/", ReadOnly: true}, Why: why}}, nil
	}
	info, err := p.root.FS.Lstat(".")
	if err != nil {
		return nil, err
	}
	if err := p.upper(); err != nil {
		return nil, err
	}
	if p.canMerge() {
		return []bwrap.Step{{Op: bwrap.Overlay{
			Lower: p.root.Dirs, Dst: "/", Points: p.points, Mode: info.Mode() &^ fs.ModeType, Owned: p.root.Owned, Whiteouts: p.root.Whiteouts, Upper: p.root.Upper,
		}, Why: why}}, nil
	}
	if !p.spec.Root.Readonly {
		return nil, &hinted{fmt.Errorf("a writable root needs overlayfs, in a user namespace without root: %s", p.Features.Reason), "leave out --writable"}
	}
	if p.root.merged() && len(p.root.Views) != len(p.root.Dirs) {
		return nil, errors.New("several root directories can't be merged without overlayfs: " + p.Features.Reason)
	}
	e := exploder{planner: p, why: why, open: map[string]bool{"/": true}}
	for _, point := range p.points {
		for dir := path.Dir(point.Path); dir != "/"; dir = path.Dir(dir) {
			e.open[dir] = true
		}
	}
	return e.steps("/", info)
}

// canMerge says that an overlay can be the root. bubblewrap makes no mount
// points in one of somebody else's directories, and knows no whiteouts.
func (p *planner) canMerge() bool {
	return p.Features.StageOverlay || p.Features.Overlay && p.root.Owned && len(p.root.Whiteouts) == 0
}

// canSeed says that an overlay can show a directory of the root.
func (p *planner) canSeed() bool {
	return p.Features.StageOverlay || p.Features.Overlay && p.root.Owned && !p.root.merged()
}

// merged says that what the image shows is in no single directory.
func (r Rootfs) merged() bool { return len(r.Dirs) != 1 || len(r.Whiteouts) > 0 || r.Upper != "" }

// upper checks that writes are kept where they are wished to be.
func (p *planner) upper() error {
	switch {
	case p.root.Upper == "":
		return nil
	case p.spec.Root.Readonly:
		return &hinted{fmt.Errorf("%s: the root is read-only, there is nothing to keep", p.root.Upper), "set root.readonly to false"}
	case !p.Features.StageOverlay:
		return fmt.Errorf("%s: keeping what is written needs overlayfs: %s", p.root.Upper, p.Features.Reason)
	}
	return nil
}

// exploder makes a read-only root without overlayfs: a tmpfs that repeats the
// directories above missing mount points and binds everything else.
type exploder struct {
	*planner
	why  string
	open map[string]bool // directories that can't be bound whole
	out  []bwrap.Step
}

func (e *exploder) add(op bwrap.Op) { e.out = append(e.out, bwrap.Step{Op: op, Why: e.why}) }

func (e *exploder) steps(dir string, info fs.FileInfo) ([]bwrap.Step, error) {
	e.add(bwrap.Tmpfs{Dst: dir, Mode: info.Mode() &^ fs.ModeType})
	if err := e.fill(dir); err != nil {
		return nil, err
	}
	for _, point := range e.points {
		if !point.File { // whoever mounts a file makes it there
			e.add(bwrap.Dir{Dst: point.Path, Mode: 0o755})
		}
	}
	return e.out, nil
}

// directory repeats one that is opened. Without a stage it has no owner.
func (e *exploder) directory(name string, info fs.FileInfo) bwrap.Dir {
	d := bwrap.Dir{Dst: name, Mode: info.Mode() &^ fs.ModeType}
	if e.root.Owner == nil {
		return d
	}
	uid, gid := e.root.Owner(info)
	if (uid != 0 || gid != 0) && !e.Features.Stage {
		e.notes = append(e.notes, Note{Field: name, Text: fmt.Sprintf("belongs to 0:0, not to %d:%d, as a mount point is made in it without overlayfs: %s", uid, gid, e.Features.Reason)})
		return d
	}
	d.UID, d.GID = uid, gid
	return d
}

// fill repeats the entries of an opened directory.
func (e *exploder) fill(dir string) error {
	entries, err := fs.ReadDir(e.root.FS, strings.TrimPrefix(path.Join(".", dir), "/"))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := path.Join(dir, entry.Name())
		switch {
		case entry.Type()&fs.ModeSymlink != 0:
			target, err := e.root.FS.ReadLink(name[1:])
			if err != nil {
				return err
			}
			e.add(bwrap.Symlink{Target: target, Dst: name})
		case entry.IsDir() && (e.open[name] || len(e.holders(name)) > 1):
			info, err := entry.Info()
			if err != nil {
				return err
			}
			e.add(e.directory(name, info))
			if err := e.fill(name); err != nil {
				return err
			}
		default:
			e.add(bwrap.Bind{Src: path.Join(e.root.Dirs[e.holders(name)[0]], name), Dst: name, ReadOnly: true})
		}
	}
	return nil
}

// holders gives the directories of the root that show something at name,
// topmost first: one for a file, all that are merged for a directory.
func (e *exploder) holders(name string) []int {
	if len(e.root.Views) == 0 {
		return []int{0}
	}
	var found []int
	for i, view := range slices.Backward(e.root.Views) {
		if !e.shows(view, path.Dir(name)) {
			continue
		}
		info, err := view.Lstat(name[1:])
		if err != nil {
			continue
		}
		if info.IsDir() {
			found = append(found, i)
			continue
		}
		if len(found) == 0 {
			found = []int{i}
		}
		break
	}
	return found
}

// shows says that a view has a directory there, through no symlink.
func (e *exploder) shows(view fs.ReadLinkFS, dir string) bool {
	for ; dir != "/"; dir = path.Dir(dir) {
		if info, err := view.Lstat(dir[1:]); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}
