package layout

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// PruneOptions say what to remove. The zero value removes only what no start
// would use: what dead writers have left, and roots of other versions.
type PruneOptions struct {
	// OlderThan removes what was last used longer ago than this; 0: nothing.
	OlderThan time.Duration

	// KeepBytes removes what was used longest ago until what is left takes no
	// more than this on disk; 0: nothing.
	KeepBytes int64

	// Keys are removed, whatever their age. That one is in use, or isn't there,
	// is an error.
	Keys []string

	// All removes everything.
	All bool
}

// Prune removes roots that no process uses, those used longest ago first, and
// returns them. On an error it has removed what it returns. A root that can't be
// looked at is one, and does not keep the others.
func (s *Store) Prune(o PruneOptions, now time.Time) (removed []CacheEntry, err error) {
	c, err := s.cache()
	if err != nil {
		return nil, err
	}
	list, unknown := s.List()
	if err := c.haveAll(o.Keys); err != nil {
		return nil, err
	}
	count := startMeter(s.Progress, Progress{Step: Pruning, Part: 1, Parts: max(1, len(list))})
	defer count.stop()
	if err := c.removeUseless(); err != nil {
		return nil, cacheError(err)
	}
	total := diskUsageOf(c.dir)
	slices.Reverse(list)
	var held []error
	for n, e := range list {
		count.begin(n + 1)
		old := o.OlderThan > 0 && now.Sub(e.LastUse) > o.OlderThan
		large := o.KeepBytes > 0 && total > o.KeepBytes
		named := slices.Contains(o.Keys, e.Key)
		if !o.All && !old && !large && !named {
			continue
		}
		// Others that shared its files may be gone by now.
		_, e.Own = diskUsage(filepath.Join(c.dir, "roots", e.Key))
		ok, err := c.at(e.Key).removeRoot()
		if err != nil {
			return removed, cacheError(err)
		}
		switch {
		case ok:
			total -= e.Own
			count.done.Add(e.Own)
			removed = append(removed, e)
		case named:
			held = append(held, fmt.Errorf("cache: root %s is in use", e.Key))
		}
	}
	c.forgetArchives(o, o.KeepBytes > 0 && total > o.KeepBytes)
	return removed, errors.Join(append(held, unknown)...)
}

// haveAll says which of the keys are not in the cache.
func (c *cached) haveAll(want []string) error {
	if len(want) == 0 {
		return nil
	}
	have, err := c.keys()
	if err != nil {
		return cacheError(err)
	}
	missing := slices.DeleteFunc(slices.Clone(want), func(key string) bool { return slices.Contains(have, key) })
	if len(missing) == 0 {
		return nil
	}
	return &hinted{fmt.Errorf("cache: no root %s", quoteAll(missing)), "oci2bwrap cache list shows the keys"}
}

// forgetArchives removes what is noted of archives: all, where nothing else is left to be
// removed and the cache is still too large.
func (c *cached) forgetArchives(o PruneOptions, large bool) {
	dir := filepath.Join(c.dir, rememberDir)
	switch {
	case o.All || large:
		forget(dir, -time.Hour) // whatever the clock has done
	case o.OlderThan > 0:
		forget(dir, o.OlderThan)
	}
}

func diskUsageOf(dir string) int64 {
	all, _ := diskUsage(dir)
	return all
}

// removeUseless removes what no start would use: see PruneOptions.
func (c *cached) removeUseless() error {
	keys, err := c.keys()
	if err != nil {
		return err
	}
	for _, key := range keys {
		at := c.at(key)
		if _, err := readMeta(at.root()); errors.Is(err, fs.ErrNotExist) {
			if _, err := at.removeRoot(); err != nil {
				return err
			}
		}
	}
	c.sweep()
	locks, err := os.ReadDir(filepath.Join(c.dir, "locks"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range locks {
		at := c.at(e.Name())
		if _, err := os.Lstat(at.root()); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if _, err := at.removeRoot(); err != nil {
			return err
		}
	}
	return nil
}

// removeRoot removes a root and its lock unless it is in use. It goes away by
// a rename: half a root is never seen.
func (c *cached) removeRoot() (removed bool, err error) {
	l, err := openLock(c.lockPath())
	if errors.Is(err, fs.ErrNotExist) {
		err = os.Mkdir(filepath.Join(c.dir, "locks"), 0o700)
		if err == nil {
			l, err = openLock(c.lockPath())
		}
	}
	if err != nil {
		return false, err
	}
	defer func() { err = also(err, l.close()) }()
	switch err := l.try(unix.LOCK_EX); {
	case err == errLocked:
		return false, nil
	case err != nil:
		return false, &fs.PathError{Op: "lock", Path: c.lockPath(), Err: err}
	case l.stale(c.lockPath()):
		return false, nil
	}
	tmp := filepath.Join(c.dir, "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return false, err
	}
	gone, err := os.MkdirTemp(tmp, c.key+".")
	if err != nil {
		return false, err
	}
	err = os.Rename(c.root(), filepath.Join(gone, "root"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return false, also(err, os.Remove(gone))
	}
	if err := c.clear(c.key); err != nil {
		return false, err
	}
	return true, os.Remove(c.lockPath())
}
