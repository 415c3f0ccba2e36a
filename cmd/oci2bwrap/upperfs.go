package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// upperFS is the view of a root with an overlay's upper layer on it, as an
// earlier run has left it: whiteouts and opaque directories are overlayfs' own.
// Names have no symlinks on the way.
type upperFS struct {
	dir  string // absolute host directory
	base fs.ReadLinkFS
}

// sides says where a name is seen: in the upper layer, in what is below, or,
// a directory, in both.
func (u *upperFS) sides(op, name string) (upper, below bool, err error) {
	if !fs.ValidPath(name) {
		return false, false, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	upper, below = true, true
	if name != "." {
		at := ""
		for part := range strings.SplitSeq(name, "/") {
			at = path.Join(at, part)
			if upper, below, err = u.step(at, upper, below); err != nil {
				return false, false, err
			}
		}
	}
	if !upper && !below {
		return false, false, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return upper, below, nil
}

// step says it for one more element, below a directory that is seen in the
// given ones.
func (u *upperFS) step(at string, upper, below bool) (bool, bool, error) {
	if below {
		_, err := u.base.Lstat(at)
		below = err == nil // what can't be read there is an error when it is asked for
	}
	if !upper {
		return false, below, nil
	}
	file := filepath.Join(u.dir, at)
	if parent, err := os.Lstat(filepath.Dir(file)); err != nil || !parent.IsDir() {
		return false, false, err // a link that the command has made is not followed
	}
	info, err := os.Lstat(file)
	switch {
	case os.IsNotExist(err):
		return false, below, nil
	case err != nil:
		return false, false, err
	case isWhiteout(info):
		return false, false, nil
	case !info.IsDir() || isOpaque(file):
		return true, false, nil
	}
	if below {
		info, err := u.base.Lstat(at)
		below = err == nil && info.IsDir()
	}
	return true, below, nil
}

func isWhiteout(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode()&fs.ModeCharDevice != 0 && st.Rdev == 0
}

func isOpaque(dir string) bool {
	var value [1]byte
	for _, name := range []string{"user.overlay.opaque", "trusted.overlay.opaque"} {
		if n, err := unix.Lgetxattr(dir, name, value[:]); err == nil && n == 1 && value[0] == 'y' {
			return true
		}
	}
	return false
}

func (u *upperFS) Lstat(name string) (fs.FileInfo, error) {
	upper, _, err := u.sides("lstat", name)
	switch {
	case err != nil:
		return nil, err
	case upper:
		return os.Lstat(filepath.Join(u.dir, name))
	}
	return u.base.Lstat(name)
}

func (u *upperFS) ReadLink(name string) (string, error) {
	upper, _, err := u.sides("readlink", name)
	switch {
	case err != nil:
		return "", err
	case upper:
		return os.Readlink(filepath.Join(u.dir, name))
	}
	return u.base.ReadLink(name)
}

func (u *upperFS) Open(name string) (fs.File, error) {
	upper, _, err := u.sides("open", name)
	switch {
	case err != nil:
		return nil, err
	case upper:
		return os.OpenFile(filepath.Join(u.dir, name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	}
	return u.base.Open(name)
}

// ReadDir lists the merged directory, sorted by name.
func (u *upperFS) ReadDir(name string) ([]fs.DirEntry, error) {
	upper, below, err := u.sides("readdir", name)
	if err != nil {
		return nil, err
	}
	var list []fs.DirEntry
	hidden := map[string]bool{}
	if upper {
		entries, err := os.ReadDir(filepath.Join(u.dir, name))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			hidden[e.Name()] = true
			if info, err := e.Info(); err == nil && !isWhiteout(info) {
				list = append(list, e)
			}
		}
	}
	if below {
		entries, err := fs.ReadDir(u.base, name)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !hidden[e.Name()] {
				list = append(list, e)
			}
		}
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}
