package runner

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// openSelf opens this program for the sandbox to run as its init. A command
// that is real root could write to the file behind the descriptor, through
// /proc, once nothing runs it (the class of CVE-2019-5736), and a command that
// is the file's owner could change its mode while a reaper runs it: exposed
// gives it on a detached read-only mount, or a copy where the caller may not
// make one. Otherwise the init is gone when the command starts, which shares
// the sandbox with nothing of ours.
func openSelf(exposed bool) (*os.File, error) {
	const self = "/proc/self/exe"
	if !exposed {
		return os.Open(self)
	}
	if f, err := openReadOnlyMount(self); err == nil {
		return f, nil
	}
	// Before Linux 5.12 there is no mount_setattr; a copy is slower, and safe.
	return memfdWith("oci2bwrap", func(w io.Writer) error {
		f, err := os.Open(self)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(w, f)
		return err
	})
}

func openReadOnlyMount(file string) (*os.File, error) {
	path, err := os.Readlink(file)
	if err != nil {
		return nil, err
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open_tree %s: %w", path, err)
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("mount_setattr %s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}
