package layout

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// retry repeats a system call that a signal interrupted; the Go runtime's own
// preemption signals do that on some file systems.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func openat(dirfd int, name string, flags int, mode uint32) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Openat(dirfd, name, flags, mode)
		return err
	})
	return fd, err
}

// openat2 opens path below dirfd. The kernel may answer EAGAIN when something
// was renamed anywhere meanwhile.
func openat2(dirfd int, path string, how *unix.OpenHow) (fd int, err error) {
	for range 1000 {
		fd, err = unix.Openat2(dirfd, path, how)
		if err != unix.EINTR && err != unix.EAGAIN {
			break
		}
	}
	if err == unix.ENOSYS {
		err = fmt.Errorf("the openat2 system call is needed (Linux 5.6, and a seccomp policy that allows it): %w", err)
	}
	return fd, err
}

// writeAll writes all of p.
func writeAll(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(fd, p)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// lstatKind returns the file type bits of name in dirfd.
func lstatKind(dirfd int, name string) (uint32, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstatat(dirfd, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	return st.Mode & unix.S_IFMT, err
}

func readlinkat(dirfd int, name string) (string, error) {
	buf := make([]byte, maxPath+1)
	n, err := unix.Readlinkat(dirfd, name, buf)
	if err != nil {
		return "", err
	}
	if n == 0 {
		return "", unix.ENOENT
	}
	return string(buf[:n]), nil
}

// chmodat changes the mode of a name that is no symlink.
func chmodat(dirfd int, name string, mode uint32) error {
	err := unix.Fchmodat(dirfd, name, mode, unix.AT_SYMLINK_NOFOLLOW)
	switch err {
	case unix.EOPNOTSUPP, unix.ENOSYS, unix.EPERM:
	default:
		return err
	}
	// Linux before 6.6 has no fchmodat2, and some seccomp policies refuse it.
	// Only we write to the directory, so what was looked at is what is changed.
	kind, err := lstatKind(dirfd, name)
	if err != nil {
		return err
	}
	if kind == unix.S_IFLNK {
		return unix.ELOOP
	}
	return unix.Fchmodat(dirfd, name, mode, 0)
}

// dirNames lists a directory, without "." and "..".
func dirNames(fd int) ([]string, error) {
	if _, err := unix.Seek(fd, 0, unix.SEEK_SET); err != nil {
		return nil, err
	}
	buf := make([]byte, 32<<10)
	var names []string
	for {
		n, err := unix.ReadDirent(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return names, err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}
