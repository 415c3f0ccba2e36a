package layout

import (
	"context"
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

// scanWhiteouts walks a directory once; left is how many entries may still be
// looked at.
func scanWhiteouts(ctx context.Context, root string, left *int64) (*DirWhiteouts, error) {
	w := &DirWhiteouts{xattrs: map[string]bool{}}
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
		if marked && d.IsDir() {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	w.xattrs = nil
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
// entry is a whiteout or marker itself.
func (w *DirWhiteouts) note(file, name string, d fs.DirEntry) (marked bool, err error) {
	dir, base := path.Split(name)
	dir = path.Clean(dir)
	switch {
	case base == opaqueName:
		w.Opaque = append(w.Opaque, dir)
	case isAufs(base):
	case strings.HasPrefix(base, whiteoutPrefix):
		if err := checkWhiteoutNames("", base); err != nil {
			return false, fmt.Errorf("%s: %w", file, err)
		}
		w.Hidden = append(w.Hidden, path.Join(dir, strings.TrimPrefix(base, whiteoutPrefix)))
	case d.IsDir():
		switch overlayXattr(file, "opaque") {
		case "y":
			w.Opaque = append(w.Opaque, name)
		case "x":
			w.xattrs[name] = true
		}
		return false, nil
	case isOverlayWhiteout(file, d, w.xattrs[dir]):
		w.Hidden = append(w.Hidden, name)
	default:
		return false, nil
	}
	w.Markers = append(w.Markers, name)
	return true, nil
}

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
