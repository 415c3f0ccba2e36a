package layout

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// sweep removes what writers that died have left. It never fails: what it
// can't remove is removed by a later start.
func (c *cached) sweep() {
	entries, err := os.ReadDir(filepath.Join(c.dir, "tmp"))
	if err != nil {
		return
	}
	for _, e := range entries {
		key, _, ok := strings.Cut(e.Name(), ".")
		if !ok || key == c.key {
			continue // our own root is in place, and the shared lock held
		}
		path := filepath.Join(c.dir, "locks", key)
		l, err := openLock(path)
		if err != nil {
			continue
		}
		if l.try(unix.LOCK_EX) == nil && !l.stale(path) {
			if c.clear(key) == nil && isTemporary(key) {
				_ = os.Remove(path)
			}
		}
		_ = l.close()
	}
}

// clear removes what is in tmp for a key of which the exclusive lock is held:
// its writer is dead.
func (c *cached) clear(key string) error {
	entries, err := os.ReadDir(filepath.Join(c.dir, "tmp"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if k, _, _ := strings.Cut(e.Name(), "."); k == key {
			if err := removePath(filepath.Join(c.dir, "tmp", e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
