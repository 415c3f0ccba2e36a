package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// lockUppers takes the directories that the overlays of the plan write to, as
// those of -v SRC:DST:O,upperdir=, for this run alone: what two mounts on one
// of them do overlayfs leaves undefined. One may have several names. That of
// --upper is taken already, but not what is in it.
func (s *session) lockUppers() error {
	var taken []fs.FileInfo
	for _, step := range s.planned.Plan.Steps {
		o, ok := step.Op.(bwrap.Overlay)
		if !ok || o.Upper == "" {
			continue
		}
		dirs := []string{o.Upper, o.Work}
		if o.Work == "" {
			dirs = []string{filepath.Join(o.Upper, "upper"), filepath.Join(o.Upper, "work")}
		}
		for _, dir := range dirs {
			info, err := os.Stat(dir)
			if errors.Is(err, fs.ErrNotExist) && o.Work == "" {
				continue // the stage makes it
			}
			if slices.ContainsFunc(taken, func(t fs.FileInfo) bool { return os.SameFile(t, info) }) {
				return fmt.Errorf("%s: %q: %s is named twice as an upperdir or workdir", step.Why, o.Dst, dir)
			}
			lock, err := lockDir(dir)
			if err != nil {
				return fmt.Errorf("%s: %q: %w", step.Why, o.Dst, err)
			}
			taken = append(taken, info)
			s.locks = append(s.locks, lock)
		}
	}
	return nil
}

// lockDir opens a directory that is for one run at a time, and locks it until
// it is closed.
func lockDir(path string) (*os.File, error) {
	dir, err := os.OpenFile(path, unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	if err = lockSoon(dir); err == nil {
		return dir, nil
	}
	dir.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, &hinted{fmt.Errorf("%s is in use by another run", path), "wait for it to end, or name another directory"}
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// lockSoon takes the lock, and has patience with a run that was killed: a user's
// with further ids has a second process, which holds it and ends a moment later.
func lockSoon(dir *os.File) error {
	for deadline := time.Now().Add(time.Second); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) {
			return err
		}
	}
}
