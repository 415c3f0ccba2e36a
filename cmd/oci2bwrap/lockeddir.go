package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/internal/engine"
)

// lockedDir is a directory of one run's own, locked until it is removed, so
// that one without a lock was left by a run that was killed.
type lockedDir struct {
	path string
	lock *os.File
}

const (
	parityPrefix = "oci2bwrap-parity-" // of a comparison
	cachePrefix  = "oci2bwrap-cache-"  // in place of the cache
)

// newLockedDir removes what others have left, and makes a directory in dir.
func newLockedDir(dir, prefix string) (*lockedDir, error) {
	left, _ := filepath.Glob(filepath.Join(dir, prefix+"*"))
	for _, path := range left {
		reclaim(path)
	}
	for range 10 {
		path, err := os.MkdirTemp(dir, prefix)
		if err != nil {
			return nil, err
		}
		// Before it is locked another may take it for one that was left.
		d, err := lockIfThere(path)
		if err == nil {
			return d, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s: directories made there are taken away", dir)
}

// lockIfThere locks the directory, which is still there then.
func lockIfThere(path string) (*lockedDir, error) {
	f, err := os.OpenFile(path, unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		_, err = os.Lstat(path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &lockedDir{path, f}, nil
}

// reclaim removes a directory that nobody has locked, and what engines that
// were called from there still run. What belongs to somebody else stays.
func reclaim(path string) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || int(st.Uid) != os.Geteuid() {
		return
	}
	d, err := lockIfThere(path)
	if err != nil {
		return
	}
	engine.Reclaim(path)
	d.close()
}

func (d *lockedDir) close() {
	if d != nil {
		os.RemoveAll(d.path)
		d.lock.Close()
	}
}
