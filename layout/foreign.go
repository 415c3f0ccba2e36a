package layout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// DirWhiteouts is what one of the Dirs of a Rootfs, a layer, says about those
// below it: whiteouts of the image-spec or of overlayfs. Paths are relative
// to the directory, slash-separated and sorted.
type DirWhiteouts struct {
	Dir     int      // index in Rootfs.Dirs
	Markers []string // files that are whiteouts or markers themselves: never shown
	Hidden  []string // what lower directories have here, and below, isn't shown
	Opaque  []string // lower directories' entries of this one aren't shown; "." is the root

	xattrs map[string]bool // directories in which empty files may be whiteouts
	impure map[string]bool // directories in which files may lack their content
}

// rootfs is the root filesystem of an image that is directories: they are
// used where they lie.
func (i *Image) rootfs(ctx context.Context, limits Limits) (*Rootfs, error) {
	r := &Rootfs{Dirs: slices.Clone(i.Dirs)}
	if i.StorePaths != nil {
		var err error
		if r.Store, err = StorePaths(i.StorePaths); err != nil {
			return nil, fmt.Errorf("%s: %w", storePathsFile, err)
		}
	}
	if !i.layered {
		return r, nil
	}
	most := limits.withDefaults().Entries
	left := most
	for n, dir := range r.Dirs {
		w, err := scanWhiteouts(ctx, dir, &left)
		if left < 0 {
			return nil, &LimitError{"Entries", "too many entries", most}
		}
		if err != nil {
			return nil, err
		}
		if w.Dir = n; len(w.Markers)+len(w.Hidden)+len(w.Opaque) > 0 {
			r.Whiteouts = append(r.Whiteouts, *w)
		}
	}
	return r, nil
}

func newDirWhiteouts() *DirWhiteouts {
	return &DirWhiteouts{xattrs: map[string]bool{}, impure: map[string]bool{}}
}

// scanWhiteouts walks a directory once; left is how many entries may still be
// looked at.
func scanWhiteouts(ctx context.Context, root string, left *int64) (*DirWhiteouts, error) {
	w := newDirWhiteouts()
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if *left--; *left < 0 {
			return fs.SkipAll
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		marked, err := w.note(file, nameBelow(root, file), d)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", file, err)
		case marked && d.IsDir():
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	w.xattrs, w.impure = nil, nil
	for _, list := range []*[]string{&w.Markers, &w.Hidden, &w.Opaque} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return w, nil
}

// nameBelow is a file's name below root, "." for root itself.
func nameBelow(root, file string) string {
	name := strings.TrimPrefix(strings.TrimPrefix(file, root), "/")
	if name == "" {
		return "."
	}
	return name
}

// note notes what an entry says about lower directories. marked says that the
// entry is a whiteout or marker itself. The error does not name the file.
func (w *DirWhiteouts) note(file, name string, d fs.DirEntry) (marked bool, err error) {
	dir, base := path.Split(name)
	dir = path.Clean(dir)
	switch {
	case base == opaqueName:
		w.Opaque = append(w.Opaque, dir)
	case isAufs(base):
	case strings.HasPrefix(base, whiteoutPrefix):
		if err := checkWhiteoutNames("", base); err != nil {
			return false, err
		}
		w.Hidden = append(w.Hidden, path.Join(dir, strings.TrimPrefix(base, whiteoutPrefix)))
	case d.IsDir():
		return false, w.noteDir(file, name)
	case d.Type().IsRegular() && w.impure[dir] && hasOverlayXattr(overlayXattrs(file), metacopy):
		return false, errMetacopy
	case isOverlayWhiteout(file, d, w.xattrs[dir]):
		w.Hidden = append(w.Hidden, name)
	default:
		return false, nil
	}
	w.Markers = append(w.Markers, name)
	return true, nil
}

// noteDir notes what the xattrs of a directory say. Most have none, which one
// call tells.
func (w *DirWhiteouts) noteDir(file, name string) error {
	names := overlayXattrs(file)
	if hasOverlayXattr(names, "redirect") {
		return errRenamed
	}
	if hasOverlayXattr(names, "opaque") {
		switch overlayXattr(file, "opaque") {
		case "y":
			w.Opaque = append(w.Opaque, name)
		case "x":
			w.xattrs[name] = true
		}
	}
	w.impure[name] = hasOverlayXattr(names, "impure")
	return nil
}

// What overlayfs with redirect_dir=on and metacopy=on writes, only overlayfs can
// read: the layer has a directory's new name, or a file's new mode, and the rest
// lies below. A directory that has a file of the latter kind is impure.
const (
	metacopy  = "metacopy"
	mountHint = "mount the layers with overlayfs, and give the mounted directory as rootfs:DIR with --config FILE"
)

var (
	errRenamed  = &hinted{errors.New("overlayfs has renamed this directory: what is in it lies under another name in the layers below"), mountHint}
	errMetacopy = &hinted{errors.New("overlayfs has put only this file's mode and owner here: its content lies in the layers below"), mountHint}
)

// isOverlayWhiteout knows both kinds of overlayfs whiteouts: a character
// device 0/0, and, where its directory says so, an empty file with an xattr
// (kernel 6.7).
func isOverlayWhiteout(file string, d fs.DirEntry, xattrs bool) bool {
	device := d.Type() == fs.ModeDevice|fs.ModeCharDevice
	if !device && !(xattrs && d.Type().IsRegular()) {
		return false
	}
	info, err := d.Info()
	if err != nil {
		return false
	}
	if device {
		return info.Sys().(*syscall.Stat_t).Rdev == 0
	}
	return info.Size() == 0 && overlayXattr(file, "whiteout") != "-"
}

// overlayXattrs lists the xattrs of a file, where it has any of overlayfs's.
func overlayXattrs(file string) []string {
	var buf [1024]byte
	list := buf[:]
	n, err := unix.Llistxattr(file, list)
	if err == unix.ERANGE {
		list, err = xattrCall(func(b []byte) (int, error) { return unix.Llistxattr(file, b) })
		n = len(list)
	}
	if err != nil || !strings.Contains(string(list[:n]), ".overlay.") {
		return nil
	}
	return strings.Split(string(list[:n]), "\x00")
}

func hasOverlayXattr(names []string, name string) bool {
	return slices.Contains(names, "user.overlay."+name) || slices.Contains(names, "trusted.overlay."+name)
}

// overlayXattr returns an xattr of overlayfs, "-" if it isn't there: user.*
// with its userxattr option, else trusted.*, which only root can see.
func overlayXattr(file, name string) string {
	var buf [16]byte
	for _, space := range []string{"user.overlay.", "trusted.overlay."} {
		n, err := unix.Lgetxattr(file, space+name, buf[:])
		if err == nil {
			return string(buf[:n])
		}
	}
	return "-"
}
