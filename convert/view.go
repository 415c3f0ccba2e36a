package convert

import (
	"cmp"
	"io/fs"
	"path"
	"strings"
	"time"
)

// view is the sandbox's file tree as far as it has been planned: the image's
// files, what is mounted over them, and the mount points that will be made.
// Destinations are resolved in it, so that they are where the kernel will see
// them.
type view struct {
	base   fs.ReadLinkFS
	mounts []region
	made   map[string]madeInfo // by absolute path
}

// region is the part of the tree below a mount.
type region struct {
	at   string        // absolute, resolved
	fsys fs.ReadLinkFS // what it shows; nil where nothing is known or nothing is there
	mode fs.FileMode   // of at itself where fsys is nil; 0 is a directory
	dir  string        // the directory of fsys that it shows, "." or like "var/lib"
	kind regionKind
	host bool // fsys is the host's in an overlay, not the image's
	step int  // of the plan, -1 for the root
}

// regionKind says how a mount point that a region lacks comes to be.
type regionKind int

const (
	regionRoot    regionKind = iota // a Point of the root
	regionOverlay                   // a Point of the step's overlay
	regionMemory                    // bubblewrap makes a directory in a tmpfs
	regionBind                      // it can't: the directory is the host's
	regionStore                     // an overlay of its own
	regionKernel                    // it can't: procfs, sysfs
)

func newView(base fs.ReadLinkFS) *view {
	return &view{base: base, made: map[string]madeInfo{}}
}

// region gives the mount that name, absolute and resolved, lies in.
func (v *view) region(name string) region {
	best := region{at: "/", fsys: v.base, dir: ".", kind: regionRoot, step: -1}
	for _, r := range v.mounts {
		if within(name, r.at) {
			best = r // a later mount hides what it covers of the earlier ones
		}
	}
	return best
}

func within(name, dir string) bool {
	return dir == "/" || name == dir || strings.HasPrefix(name, dir+"/")
}

// mount puts the region over what was there; nothing made below stays.
func (v *view) mount(r region) {
	for name := range v.made {
		if within(name, r.at) {
			delete(v.made, name)
		}
	}
	v.mounts = append(v.mounts, r)
}

// make notes that name and its missing parents will be there.
func (v *view) make(name string, mode fs.FileMode) {
	v.made[name] = madeInfo{name: path.Base(name), mode: mode}
	for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
		if _, err := v.Lstat(dir[1:]); err == nil {
			return
		}
		v.made[dir] = madeInfo{name: path.Base(dir), mode: fs.ModeDir | 0o755}
	}
}

// link notes that name will be a symlink.
func (v *view) link(name, target string) {
	v.made[name] = madeInfo{name: path.Base(name), mode: fs.ModeSymlink | 0o777, target: target}
}

// at gives the fsys and the name in it for a name of the view.
func (v *view) locate(name string) (fs.ReadLinkFS, string) {
	abs := path.Join("/", name)
	r := v.region(abs)
	rel := strings.TrimPrefix(strings.TrimPrefix(abs, r.at), "/")
	return r.fsys, path.Join(r.dir, rel)
}

// Lstat is that of fs.ReadLinkFS.
func (v *view) Lstat(name string) (fs.FileInfo, error) {
	abs := path.Join("/", name)
	if info, ok := v.made[abs]; ok {
		return info, nil
	}
	fsys, in := v.locate(name)
	if fsys == nil {
		if r := v.region(abs); r.at == abs {
			return madeInfo{name: path.Base(abs), mode: cmp.Or(r.mode, fs.ModeDir|0o755)}, nil
		}
		return nil, &fs.PathError{Op: "lstat", Path: name, Err: fs.ErrNotExist}
	}
	return fsys.Lstat(in)
}

// ReadLink is that of fs.ReadLinkFS.
func (v *view) ReadLink(name string) (string, error) {
	if info, ok := v.made[path.Join("/", name)]; ok && info.target != "" {
		return info.target, nil
	}
	fsys, in := v.locate(name)
	if fsys == nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrNotExist}
	}
	return fsys.ReadLink(in)
}

// Open opens what is there already; what is yet to be made can't be read.
func (v *view) Open(name string) (fs.File, error) {
	_, made := v.made[path.Join("/", name)]
	fsys, in := v.locate(name)
	if made || fsys == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return fsys.Open(in)
}

// madeInfo describes what is not there yet.
type madeInfo struct {
	name   string
	mode   fs.FileMode
	target string // of a symlink
}

func (i madeInfo) Name() string       { return i.name }
func (i madeInfo) Size() int64        { return 0 }
func (i madeInfo) Mode() fs.FileMode  { return i.mode }
func (i madeInfo) ModTime() time.Time { return time.Time{} }
func (i madeInfo) IsDir() bool        { return i.mode.IsDir() }
func (i madeInfo) Sys() any           { return nil }
