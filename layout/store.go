package layout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Store is a cache of unpacked root filesystems, shared by processes:
//
//	Dir/roots/KEY/rootfs      a root filesystem, never changed
//	Dir/roots/KEY/meta.json   what is known about it
//	Dir/roots/KEY/record      what it consists of, layer by layer
//	Dir/roots/KEY/lower       files of lower layers that upper ones removed
//	Dir/locks/KEY             locked shared by users, exclusively by the writer; its time is the last use
//	Dir/tmp/KEY.RANDOM        a root being unpacked, or removed, by the holder of KEY's lock
//
// KEY is ChainID and ownership. A root appears by rename, complete and
// verified. All directories above a root are 0700: others can't reach its
// set-id files. Roots of images that share lower layers share their files by
// hard links.
type Store struct {
	Dir       string // made when needed, 0700
	Ownership Ownership
	Limits    Limits

	// Progress, if not nil, is told how far unpacking, Verify or Prune is: see
	// UnpackOptions.
	Progress func(Progress)

	// Temporary makes Rootfs unpack into Dir/tmp and Close remove it: what is
	// in the cache is neither used nor added to.
	Temporary bool
}

// Rootfs is a root filesystem in use.
type Rootfs struct {
	Dirs    []string // absolute, to be merged, lowest first
	Owned   bool     // the Store made it, and nobody else writes to it
	Skipped []Skipped

	// Owner is a file that the image gives to another owner than root, nil
	// where there is none or the Store did not unpack it.
	Owner *FileOwner

	// Whiteouts are those in Dirs, where they are not the Store's.
	Whiteouts []DirWhiteouts

	// Store, if not nil, is all that the root shows in /nix/store, in place of
	// what Dirs have there.
	Store []StorePath

	lock  *lock
	temp  *cached // whose files Close removes
	parts *rootParts
	below *Rootfs // in use as long as this one is
}

// Close says that the root is no longer in use and may be pruned.
func (r *Rootfs) Close() error {
	var err error
	if r.below != nil {
		err = r.below.Close()
	}
	if r.temp != nil {
		err = also(err, r.temp.discard())
	}
	return also(err, r.lock.close())
}

// Rootfs returns the root filesystem of an image, which is unpacked if it
// isn't in the cache. An image that is directories is used where it lies. Of
// several processes that want the same root one unpacks and the others wait.
// The root stays until Close.
func (s *Store) Rootfs(ctx context.Context, img *Image) (*Rootfs, error) {
	if img.Dirs != nil {
		return img.rootfs(ctx, s.Limits)
	}
	if img.nix != nil {
		return s.nixRootfs(ctx, img)
	}
	return s.unpacked(ctx, img, s.key(img))
}

// unpacked returns the root that has key in the cache, where img is unpacked
// if it isn't there.
func (s *Store) unpacked(ctx context.Context, img *Image, key string) (*Rootfs, error) {
	if err := s.Ownership.check(); err != nil {
		return nil, err
	}
	if s.Dir == "" {
		return nil, errors.New("cache: no directory given")
	}
	dir, err := filepath.Abs(s.Dir)
	if err != nil {
		return nil, err
	}
	c := &cached{store: s, dir: dir, key: key, img: img}
	find := c.rootfs
	if s.Temporary {
		find = c.temporary
	}
	root, err := find(ctx)
	if err != nil {
		return nil, err
	}
	c.sweep()
	return root, nil
}

// forget removes the lock file of a root that never came to be. Who waits for
// the lock meanwhile notices that its file is gone.
func (c *cached) forget(l *lock) {
	if l.f == nil || l.try(unix.LOCK_EX) != nil || l.stale(c.lockPath()) {
		return
	}
	if _, err := os.Lstat(c.root()); errors.Is(err, fs.ErrNotExist) {
		_ = os.Remove(c.lockPath()) // a file too many does no harm
	}
}

// key names an image's root in the cache.
func (s *Store) key(img *Image) string {
	chain := img.ChainID()
	if chain.Hex == "" {
		return "empty-" + s.Ownership.name()
	}
	return chain.Algorithm + "-" + chain.Hex + "-" + s.Ownership.name()
}

// cached is the place of one root in the cache.
type cached struct {
	store *Store
	dir   string // the cache's
	key   string
	img   *Image
}

func (c *cached) root() string     { return filepath.Join(c.dir, "roots", c.key) }
func (c *cached) lockPath() string { return filepath.Join(c.dir, "locks", c.key) }

// rootfs finds or makes the root. A shared lock shows that nobody is writing
// it; to write takes the exclusive lock. Neither is waited for inside flock,
// which could not be interrupted.
func (c *cached) rootfs(ctx context.Context) (*Rootfs, error) {
	for round := 0; ; round++ {
		l, err := c.openLock()
		if err != nil {
			return nil, err
		}
		root, err := c.attempt(ctx, l)
		if err == nil {
			root.lock = l
			// The time of last use; a cache that can't be written to has none.
			_ = setTimes(unix.AT_FDCWD, c.lockPath(), unix.Timespec{Nsec: unix.UTIME_NOW})
			return root, nil
		}
		if !errors.Is(err, errLocked) {
			c.forget(l)
		}
		if cerr := l.close(); cerr != nil {
			return nil, also(err, cerr)
		}
		if !errors.Is(err, errLocked) {
			return nil, err
		}
		if err := pause(ctx, round); err != nil {
			return nil, err
		}
	}
}

// openLock opens the key's lock, in a cache that is made if it isn't there.
func (c *cached) openLock() (*lock, error) {
	l, err := openLock(c.lockPath())
	if errors.Is(err, fs.ErrNotExist) {
		if err := c.makeDirs(); err != nil {
			return nil, err
		}
		l, err = openLock(c.lockPath())
	}
	return l, cacheError(err)
}

func (c *cached) makeDirs() error {
	for _, name := range []string{"", "roots", "locks", "tmp"} {
		if err := os.MkdirAll(filepath.Join(c.dir, name), 0o700); err != nil {
			return cacheError(err)
		}
	}
	return nil
}

// cacheError marks an error as one of the cache itself, not of an image.
func cacheError(err error) error {
	if err == nil {
		return nil
	}
	return &hinted{fmt.Errorf("cache: %w", err), "choose another cache directory with --cache-dir"}
}

// spaceError adds what can be done about a full disk that the cache is on.
func spaceError(err error) error {
	if isFull(err) {
		return &hinted{err, "make room, or choose a cache directory elsewhere with --cache-dir"}
	}
	return err
}

func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// destError adds what can be done where the disk is full that the caller has
// something written to.
func destError(err error) error {
	var own interface{ Hint() string }
	if isFull(err) && !errors.As(err, &own) {
		return &hinted{err, "make room, or name a directory on another disk"}
	}
	return err
}

// attempt looks for the root under a shared lock, and makes it under an
// exclusive one. On success the shared lock is held.
func (c *cached) attempt(ctx context.Context, l *lock) (*Rootfs, error) {
	if err := l.try(unix.LOCK_SH); err != nil {
		return nil, err
	}
	root, err := c.find(l)
	if !errors.Is(err, fs.ErrNotExist) {
		return root, err
	}
	if err := l.try(unix.LOCK_EX); err == unix.EROFS {
		return nil, cacheError(&fs.PathError{Op: "write", Path: c.dir, Err: err})
	} else if err != nil {
		return nil, err
	}
	_, err = c.find(l)
	if errors.Is(err, fs.ErrNotExist) {
		err = c.make(ctx)
	}
	if err != nil {
		return nil, err
	}
	// Going down to shared lets go for an instant, in which the root may be
	// pruned: look again.
	if err := l.try(unix.LOCK_SH); err != nil {
		return nil, err
	}
	root, err = c.find(l)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errLocked
	}
	return root, err
}

// find returns the root if it is in the cache.
func (c *cached) find(l *lock) (*Rootfs, error) {
	if l.stale(c.lockPath()) {
		return nil, errLocked
	}
	meta, err := readMeta(c.root())
	if err != nil {
		return nil, cacheError(err)
	}
	return &Rootfs{Dirs: []string{filepath.Join(c.root(), rootfsName)}, Owned: true, Skipped: meta.Skipped, Owner: meta.Owner, parts: meta.Parts}, nil
}
