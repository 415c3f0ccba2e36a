package convert

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	"github.com/oci2bwrap/oci2bwrap/internal/inroot"
)

// StoreDir is where a root shows store paths.
const StoreDir = "/nix/store"

// Store is what a root shows in StoreDir, beside or instead of what Dirs hold
// there, and read-only whatever the root is.
type Store struct {
	Paths []bwrap.StorePath // a closure, sorted by name
	Whole string            // or a host directory, with all that is in it
	FS    fs.ReadLinkFS     // a view of the one or the other

	// Why says where the wish comes from, for people.
	Why string
}

// files is the view of Dirs and, where there is one, the store.
func (r Rootfs) files() fs.ReadLinkFS {
	if r.Store == nil || r.FS == nil {
		return r.FS
	}
	v := newView(r.FS)
	v.mount(region{at: StoreDir, fsys: r.Store.FS, dir: ".", kind: regionStore, step: -1})
	return v
}

// source is where on the host a name in StoreDir lies: "" for a name that is
// no store path's.
func (s *Store) source(name string) string {
	if s.Whole != "" {
		return path.Join(s.Whole, name)
	}
	first, rest, _ := strings.Cut(name, "/")
	i := slices.IndexFunc(s.Paths, func(p bwrap.StorePath) bool { return p.Name == first })
	if i < 0 || s.Paths[i].Link != "" {
		return ""
	}
	return path.Join(s.Paths[i].Src, rest)
}

// store plans StoreDir before everything else, so that the Spec's mounts are
// resolved in it.
func (p *planner) store() error {
	s := p.root.Store
	if s == nil {
		return nil
	}
	at, err := inroot.Resolve(p.view, StoreDir)
	if err != nil {
		return err
	}
	if at.Name != StoreDir {
		return fmt.Errorf("%s is a symlink in the image, to %q", StoreDir, at.Name)
	}
	if err := p.directory(at, s.Why); err != nil {
		return err
	}
	var op bwrap.Op = bwrap.Closure{Dst: StoreDir, Paths: s.Paths}
	if s.Whole != "" {
		op = bwrap.Bind{Src: s.Whole, Dst: StoreDir, ReadOnly: true}
	}
	p.view.mount(region{at: StoreDir, fsys: s.FS, dir: ".", kind: regionStore, step: p.add(op, s.Why)})
	return nil
}

// storePoint has a missing mount point made in a directory of a store path,
// such as /etc where that is a link into the store: on an overlay of the
// directory, which is read-only as the store is.
func (p *planner) storePoint(at inroot.Path, file bool, why string) error {
	dir := path.Dir(at.Missing)
	name := strings.TrimPrefix(dir, StoreDir+"/")
	src := p.root.Store.source(name)
	if dir == StoreDir || src == "" {
		return fmt.Errorf("%q does not exist, and nothing is made in the store", at.Missing)
	}
	if !p.Features.StageOverlay {
		return fmt.Errorf("%q does not exist in the store, and can't be made without overlayfs: %s", at.Missing, p.Features.Reason)
	}
	info, err := p.root.Store.FS.Lstat(name)
	if err != nil {
		return err
	}
	o := bwrap.Overlay{Lower: []string{src}, Dst: dir, Mode: info.Mode() &^ fs.ModeType, Points: []bwrap.Point{{Path: at.Name, File: file}}}
	step := p.add(o, why)
	p.readOnly = append(p.readOnly, step)
	p.view.mount(region{at: dir, fsys: p.root.Store.FS, dir: name, kind: regionOverlay, step: step})
	return nil
}

// unwritable says of a directory to be written to that the store has taken its
// owner and all rights to write away, as it does with everything: they say
// nothing of what the image wants, which is that its user writes there.
func (p *planner) unwritable(info fs.FileInfo) bool {
	return p.root.Store != nil && info.Mode().Perm()&0o222 == 0
}
