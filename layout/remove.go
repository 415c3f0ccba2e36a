package layout

import (
	"errors"

	"golang.org/x/sys/unix"
)

// remove removes name and, if it is a directory, all that is in it.
func (t *tree) remove(parent *dir, name string) error {
	if child := parent.children[name]; child != nil {
		if t.lower(child) {
			return t.keepDir(child)
		}
		if err := t.removeDir(child); err != nil {
			return err
		}
		t.record.remove(parent, name, 0)
		return nil
	}
	fd, err := t.handle(parent)
	if err != nil {
		return err
	}
	kind, err := lstatKind(fd, name)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	if kind == unix.S_IFLNK {
		clear(t.paths)
	}
	keep := kind == unix.S_IFREG && t.record != nil && !t.isUpper(parent, name)
	delete(parent.names, name)
	if keep {
		return t.record.keep(fd, parent, name)
	}
	t.record.remove(parent, name, 0)
	return retry(func() error { return unix.Unlinkat(fd, name, 0) })
}

// lower says whether a directory is to be kept when it is removed, because
// lower layers have put something there.
func (t *tree) lower(d *dir) bool { return t.record != nil && t.layer > d.made }

// keepDir removes a directory as a whole.
func (t *tree) keepDir(d *dir) error {
	t.closeBelow(d)
	clear(t.paths)
	fd, err := t.handle(d.parent)
	if err != nil {
		return err
	}
	if err := t.record.keep(fd, d.parent, d.name); err != nil {
		return err
	}
	delete(d.parent.children, d.name)
	return nil
}

func (t *tree) closeBelow(d *dir) {
	for _, child := range d.children {
		t.closeBelow(child)
	}
	if d.fd >= 0 {
		t.closeDir(d)
	}
}

// removeDir removes a directory of the tree that is not the root.
func (t *tree) removeDir(d *dir) error {
	for _, child := range d.children {
		if err := t.removeDir(child); err != nil {
			return err
		}
	}
	fd, err := t.handle(d)
	if err != nil {
		return err
	}
	names, err := dirNames(fd)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := retry(func() error { return unix.Unlinkat(fd, name, 0) }); err != nil {
			return err
		}
	}
	t.closeDir(d)
	clear(t.paths)
	fd, err = t.handle(d.parent)
	if err != nil {
		return err
	}
	delete(d.parent.children, d.name)
	return retry(func() error { return unix.Unlinkat(fd, d.name, unix.AT_REMOVEDIR) })
}

// removeTree removes name in dirfd with all that is in it, directories that
// can't be read included. That it doesn't exist is no error. Nobody else may
// be writing there.
func removeTree(dirfd int, name string) error {
	err := retry(func() error { return unix.Unlinkat(dirfd, name, 0) })
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if kind, kerr := lstatKind(dirfd, name); kerr != nil || kind != unix.S_IFDIR {
		return err
	}
	fd, err := openDirToEmpty(dirfd, name)
	if err != nil {
		return err
	}
	err = emptyDir(fd)
	unix.Close(fd)
	if err != nil {
		return err
	}
	return retry(func() error { return unix.Unlinkat(dirfd, name, unix.AT_REMOVEDIR) })
}

// emptyDir removes all that is in an open directory.
func emptyDir(fd int) error {
	names, err := dirNames(fd)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := removeTree(fd, name); err != nil {
			return err
		}
	}
	return nil
}

// openDirToEmpty opens a directory and makes it one that can be emptied.
func openDirToEmpty(dirfd int, name string) (int, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(dirfd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return -1, err
	}
	if st.Mode&0o700 != 0o700 {
		if err := chmodat(dirfd, name, 0o700); err != nil {
			return -1, err
		}
	}
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	return openat(dirfd, name, flags, 0)
}
