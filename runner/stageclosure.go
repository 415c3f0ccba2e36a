package runner

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// closure mounts every store path in a directory of their own. One that is to
// be handed on is made beside the root: bubblewrap reads the mount table for
// each of its own mounts, in time that grows with the square of what is in it.
func (m *stageMounter) closure(o bwrap.Closure) error {
	covered, err := m.target(o.Dst)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	err = unix.Fstat(covered, &st)
	unix.Close(covered)
	if err != nil {
		return err
	}
	if o.Dst == m.handed {
		m.handedRoot = m.next("closure")
		if err := os.Mkdir(m.handedRoot, 0o755); err != nil {
			return err
		}
		err = unix.Mount("tmpfs", m.handedRoot, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755")
	} else {
		err = m.mount(o.Dst, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755")
	}
	if err != nil {
		return fmt.Errorf("closure: %w", err)
	}
	dir, err := m.target(o.Dst)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	for _, p := range o.Paths {
		if err := mountStorePath(dir, p); err != nil {
			return fmt.Errorf("%s: %w", p.Src, err)
		}
	}
	if err := likeCovered(dir, &st); err != nil {
		return fmt.Errorf("closure: %w", err)
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV}
	if err := unix.MountSetattr(dir, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr); err != nil {
		return fmt.Errorf("closure: make read-only: %w", err)
	}
	return nil
}

// likeCovered gives the directory mode, owner and time of what it covers. An
// owner that is not mapped can't be given.
func likeCovered(dir int, st *unix.Stat_t) error {
	self := fmt.Sprintf("/proc/self/fd/%d", dir)
	if err := os.Chown(self, int(st.Uid), int(st.Gid)); err != nil && !isUnmapped(err) {
		return err
	}
	if err := os.Chmod(self, os.FileMode(st.Mode&0o777)); err != nil {
		return err
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, self, []unix.Timespec{st.Atim, st.Mtim}, 0)
}

// mountStorePath mounts one store path, which no symlink leads to, or makes
// the symlink that it is.
func mountStorePath(dir int, p bwrap.StorePath) error {
	if p.Link != "" {
		return unix.Symlinkat(p.Link, dir, p.Name)
	}
	tree, err := unix.OpenTree(unix.AT_FDCWD, p.Src, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE|unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	var st unix.Stat_t
	if err := unix.Fstat(tree, &st); err != nil {
		return err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		err = unix.Mkdirat(dir, p.Name, 0o755)
	case unix.S_IFREG:
		err = unix.Mknodat(dir, p.Name, unix.S_IFREG|0o444, 0)
	default:
		err = unix.EINVAL
	}
	if err != nil {
		return err
	}
	return unix.MoveMount(tree, "", dir, p.Name, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// handOn gives the mounts of the closure as a tree that is mounted nowhere,
// for the init to attach; -1 for none.
func (m *stageMounter) handOn() (int, error) {
	if m.handedRoot == "" {
		return -1, nil
	}
	tree, err := unix.OpenTree(unix.AT_FDCWD, m.handedRoot, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return -1, fmt.Errorf("%s: hand on: %w", m.handed, err)
	}
	if err := unix.Unmount(m.handedRoot, unix.MNT_DETACH); err != nil {
		unix.Close(tree)
		return -1, fmt.Errorf("%s: hand on: %w", m.handed, err)
	}
	return tree, nil
}

// attachHanded mounts, inside the sandbox, what the stage has handed on. The
// descriptor is a way into the host's files: it ends here.
func attachHanded(tree int, dst string) error {
	defer unix.Close(tree)
	m := stageMounter{root: "/"}
	at, err := m.target(filepath.Clean(dst))
	if err != nil {
		return fmt.Errorf("%s: %w", dst, err)
	}
	defer unix.Close(at)
	if err := unix.MoveMount(tree, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return fmt.Errorf("%s: attach: %w", dst, err)
	}
	return nil
}
