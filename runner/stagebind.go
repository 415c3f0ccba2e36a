package runner

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// bind clones the source's mounts, sets their flags while nobody sees them,
// and moves them into place.
func (m *stageMounter) bind(o bwrap.Bind) error {
	recursive := uint(unix.AT_RECURSIVE)
	if o.Attr&bwrap.Single != 0 {
		recursive = 0
	}
	tree, err := m.tree(o, recursive)
	if err != nil {
		if err == unix.EINVAL && recursive == 0 {
			// The kernel keeps a user namespace from looking below the mounts
			// that it was born with.
			return fmt.Errorf("bind %s: what is mounted below it can't be left out without root: %w", o.Src, err)
		}
		return fmt.Errorf("bind %s: %w", o.Src, err)
	}
	defer unix.Close(tree)
	if o.Devices {
		o.Attr |= bwrap.Device
	}
	attr := mountAttr(o.Attr)
	if o.ReadOnly {
		attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
	}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH|recursive, &attr); err != nil {
		return fmt.Errorf("bind %s: set %v: %w", o.Src, o.Attr.Words(), err)
	}
	at, err := m.target(o.Dst)
	if err == unix.ENOENT {
		// As bubblewrap does: a plan names no mount points in directories
		// that can be written to.
		at, err = m.makeTarget(tree, o.Dst)
	}
	if err != nil {
		return err
	}
	defer unix.Close(at)
	if err := unix.MoveMount(tree, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return fmt.Errorf("bind %s: %w", o.Src, err)
	}
	return nil
}

// makeTarget makes a mount point of the source's kind.
func (m *stageMounter) makeTarget(tree int, dst string) (int, error) {
	var st unix.Stat_t
	if err := unix.Fstat(tree, &st); err != nil {
		return -1, err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		if err := m.mkdir(bwrap.Dir{Dst: dst, Mode: 0o755}); err != nil {
			return -1, err
		}
		return m.target(dst)
	}
	if err := m.mkparent(dst); err != nil {
		return -1, err
	}
	parent, name, err := m.parent(dst)
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	fd, err := unix.Openat(parent, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return -1, err
	}
	unix.Close(fd)
	return m.target(dst)
}

// mountAttr is what the attributes are for mount_setattr(2). Those of a bind
// only grow, but for the access time: what its source forbids stays forbidden.
func mountAttr(a bwrap.Attr) unix.MountAttr {
	var attr unix.MountAttr
	for _, f := range [...]struct {
		on  bool
		set uint64
	}{
		{true, unix.MOUNT_ATTR_NOSUID}, {a&bwrap.Device == 0, unix.MOUNT_ATTR_NODEV}, {a&bwrap.NoExec != 0, unix.MOUNT_ATTR_NOEXEC},
		{a&bwrap.NoSymFollow != 0, unix.MOUNT_ATTR_NOSYMFOLLOW}, {a&bwrap.NoDirAtime != 0, unix.MOUNT_ATTR_NODIRATIME},
	} {
		if f.on {
			attr.Attr_set |= f.set
		}
	}
	switch {
	case a&bwrap.NoAtime != 0:
		attr.Attr_clr, attr.Attr_set = unix.MOUNT_ATTR__ATIME, attr.Attr_set|unix.MOUNT_ATTR_NOATIME
	case a&bwrap.StrictAtime != 0:
		attr.Attr_clr, attr.Attr_set = unix.MOUNT_ATTR__ATIME, attr.Attr_set|unix.MOUNT_ATTR_STRICTATIME
	}
	if a&bwrap.Slave == 0 {
		attr.Propagation = unix.MS_PRIVATE // they are slaves of the host's
	}
	return attr
}

// mountFlags is what the attributes are for mount(2).
func mountFlags(a bwrap.Attr) uintptr {
	var flags uintptr
	for _, f := range [...]struct {
		on   bool
		flag uintptr
	}{
		{true, unix.MS_NOSUID}, {a&bwrap.Device == 0, unix.MS_NODEV}, {a&bwrap.NoExec != 0, unix.MS_NOEXEC},
		{a&bwrap.NoSymFollow != 0, unix.MS_NOSYMFOLLOW}, {a&bwrap.NoAtime != 0, unix.MS_NOATIME},
		{a&bwrap.StrictAtime != 0, unix.MS_STRICTATIME}, {a&bwrap.NoDirAtime != 0, unix.MS_NODIRATIME},
	} {
		if f.on {
			flags |= f.flag
		}
	}
	return flags
}
