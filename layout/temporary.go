package layout

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// temporaryPrefix is what the keys of temporary roots begin with.
const temporaryPrefix = "temporary-"

func isTemporary(key string) bool { return strings.HasPrefix(key, temporaryPrefix) }

// temporary unpacks into tmp under a key of its own. The lock is held
// exclusively until discard: when this process dies, the next start removes
// what it has left.
func (c *cached) temporary(ctx context.Context) (*Rootfs, error) {
	if err := c.makeDirs(); err != nil {
		return nil, err
	}
	l, err := c.temporaryLock()
	if err != nil {
		return nil, cacheError(err)
	}
	root, err := c.unpackTemporary(ctx)
	if err != nil {
		return nil, also(also(err, c.discard()), l.close())
	}
	root.lock, root.temp = l, c
	return root, nil
}

// temporaryLock makes a key that nobody else has, and locks it.
func (c *cached) temporaryLock() (*lock, error) {
	for {
		f, err := os.CreateTemp(filepath.Join(c.dir, "locks"), temporaryPrefix)
		if err != nil {
			return nil, err
		}
		c.key = filepath.Base(f.Name())
		l := &lock{f}
		err = l.try(unix.LOCK_EX)
		if err == nil && !l.stale(c.lockPath()) {
			return l, nil
		}
		// Who prunes was faster.
		_ = l.close()
		if err != nil && err != errLocked {
			return nil, err
		}
	}
}

func (c *cached) unpackTemporary(ctx context.Context) (*Rootfs, error) {
	dir, err := os.MkdirTemp(filepath.Join(c.dir, "tmp"), c.key+".")
	if err != nil {
		return nil, cacheError(err)
	}
	root := &Rootfs{Dirs: []string{filepath.Join(dir, rootfsName)}, Owned: true}
	o := c.store.options()
	o.OnSkip = func(s Skipped) { root.Skipped = append(root.Skipped, s) }
	o.OnOwner = func(f FileOwner) { root.Owner = &f }
	if err := Unpack(ctx, c.img, root.Dirs[0], o); err != nil {
		return nil, spaceError(err)
	}
	root.parts = c.img.parts
	return root, nil
}

// discard removes a temporary root and its lock, which is held.
func (c *cached) discard() error {
	if err := c.clear(c.key); err != nil {
		return cacheError(err)
	}
	return cacheError(os.Remove(c.lockPath()))
}
