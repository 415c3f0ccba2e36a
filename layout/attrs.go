package layout

import (
	"archive/tar"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// meta is what an entry says about the file it makes.
type meta struct {
	mode     uint32 // permission, set-id and sticky bits
	uid, gid int
	mtime    unix.Timespec
}

// metaOf reads the metadata of an entry. Owners are checked only where they
// are used.
func (a *applier) metaOf(hdr *tar.Header) (meta, error) {
	m := meta{mode: uint32(hdr.Mode) & 0o7777, mtime: timespec(hdr.ModTime)}
	if a.o.OnOwner != nil && !a.told && (hdr.Uid != 0 || hdr.Gid != 0) {
		a.told = true
		a.o.OnOwner(FileOwner{Path: hdr.Name, UID: hdr.Uid, GID: hdr.Gid})
	}
	if !a.o.Ownership.owners() {
		m.uid, m.gid = a.uid, a.gid
		return m, nil
	}
	// -1 means "don't change" to chown(2).
	const most = 1<<32 - 2
	if hdr.Uid < 0 || hdr.Uid > most || hdr.Gid < 0 || hdr.Gid > most {
		return m, fmt.Errorf("owner %d:%d is out of range", hdr.Uid, hdr.Gid)
	}
	m.uid, m.gid = hdr.Uid, hdr.Gid
	return m, nil
}

func timespec(t time.Time) unix.Timespec {
	if t.IsZero() {
		return unix.Timespec{}
	}
	return unix.Timespec{Sec: t.Unix(), Nsec: int64(t.Nanosecond())}
}

// settle gives a new entry that is no directory its owner and times. The mode
// is the caller's business: chown clears set-id bits, so it comes after.
func (a *applier) settle(dirfd int, name string, m meta) error {
	if a.o.Ownership.owners() && (m.uid != a.uid || m.gid != a.gid) {
		if err := unix.Fchownat(dirfd, name, m.uid, m.gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return a.o.Ownership.chownError(m.uid, m.gid, err)
		}
	}
	return setTimes(dirfd, name, m.mtime)
}

func setTimes(dirfd int, name string, mtime unix.Timespec) error {
	return retry(func() error {
		return unix.UtimesNanoAt(dirfd, name, []unix.Timespec{mtime, mtime}, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// finish gives the directory d, and all below it, their final metadata, the
// lowest first: after it a directory may be unreadable, and its parent's time
// must not change again.
func (a *applier) finish(d *dir) error {
	if err := a.ctx.Err(); err != nil {
		return err
	}
	for _, child := range d.children {
		if err := a.finish(child); err != nil {
			return err
		}
	}
	fd, err := a.handle(d)
	if err != nil {
		return fmt.Errorf("directory %s: %w", quote(d.path()), err)
	}
	if a.o.Ownership.owners() && (d.meta.uid != a.uid || d.meta.gid != a.gid) {
		if err := unix.Fchown(fd, d.meta.uid, d.meta.gid); err != nil {
			return fmt.Errorf("directory %s: %w", quote(d.path()), a.o.Ownership.chownError(d.meta.uid, d.meta.gid, err))
		}
	}
	if err := setTimes(fd, ".", d.meta.mtime); err != nil {
		return fmt.Errorf("directory %s: %w", quote(d.path()), err)
	}
	if err := unix.Fchmod(fd, d.meta.mode); err != nil {
		return fmt.Errorf("directory %s: %w", quote(d.path()), err)
	}
	a.closeDir(d)
	return nil
}

// xattr is an extended attribute to set.
type xattr struct {
	name  string
	value []byte
}

// xattrPrefix is how archives carry extended attributes in PAX records.
const xattrPrefix = "SCHILY.xattr."

// xattrsOf returns the extended attributes that an entry's file shall have.
// user.* are anybody's; capabilities belong to the image's owners; overlay's
// own would change what overlayfs shows of the tree. The rest (SELinux, ACLs,
// trusted.*) means something only on the machine it comes from.
func (a *applier) xattrsOf(hdr *tar.Header, path string) []xattr {
	if len(hdr.PAXRecords) == 0 {
		return nil
	}
	var attrs []xattr
	for _, key := range slices.Sorted(maps.Keys(hdr.PAXRecords)) {
		name, ok := strings.CutPrefix(key, xattrPrefix)
		switch {
		case !ok, strings.HasPrefix(name, "user.overlay."):
		case strings.HasPrefix(name, "user."), name == capability && a.o.Ownership.owners():
			attrs = append(attrs, xattr{name, []byte(hdr.PAXRecords[key])})
		case name == capability:
			a.skip(path, "file capability", "files belong to the caller")
		}
	}
	return attrs
}

const capability = "security.capability"

// setXattrs sets attributes of an open file. What can't be set is noted, never
// an error: where the file system has no room or no support for them, the
// file is still of use.
func (a *applier) setXattrs(fd int, path string, attrs []xattr) (set []xattr) {
	for _, x := range attrs {
		if err := unix.Fsetxattr(fd, x.name, x.value, 0); err != nil {
			a.skip(path, "extended attribute "+quote(x.name), err.Error())
			continue
		}
		set = append(set, x)
	}
	return set
}

// setDirXattrs replaces a directory's attributes.
func (a *applier) setDirXattrs(d *dir, attrs []xattr) error {
	if len(d.xattrs) == 0 && len(attrs) == 0 {
		return nil
	}
	fd, err := a.handle(d)
	if err != nil {
		return err
	}
	for _, x := range d.xattrs {
		if err := unix.Fremovexattr(fd, x.name); err != nil && err != unix.ENODATA {
			return err
		}
	}
	d.xattrs = a.setXattrs(fd, d.path(), attrs)
	return nil
}
