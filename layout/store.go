package layout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

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

	// Progress, if not nil, is told how far unpacking is: see UnpackOptions.
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

	// Whiteouts are those in Dirs, where they are not the Store's.
	Whiteouts []DirWhiteouts

	lock *lock
	temp *cached // whose files Close removes
}

// Close says that the root is no longer in use and may be pruned.
func (r *Rootfs) Close() error {
	if r.temp == nil {
		return r.lock.close()
	}
	return also(r.temp.discard(), r.lock.close())
}

// Rootfs returns the root filesystem of an image, which is unpacked if it isn't
// in the cache. One that is directories is used where it lies. Of several processes that want the same root one unpacks and
// the others wait. The root stays until Close.
func (s *Store) Rootfs(ctx context.Context, img *Image) (*Rootfs, error) {
	if img.Dirs != nil {
		return img.rootfs(ctx, s.Limits)
	}
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
	c := &cached{store: s, dir: dir, key: s.key(img), img: img}
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

// spaceError adds what can be done about a full disk.
func spaceError(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return &hinted{err, "make room, or choose a cache directory elsewhere with --cache-dir"}
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
		return nil, err
	}
	return &Rootfs{Dirs: []string{filepath.Join(c.root(), rootfsName)}, Owned: true, Skipped: meta.Skipped}, nil
}

// make unpacks the root beside its place and renames it there. The exclusive
// lock is held.
func (c *cached) make(ctx context.Context) (err error) {
	if err := c.makeDirs(); err != nil {
		return err
	}
	if err := c.clear(c.key); err != nil {
		return cacheError(err)
	}
	tmp, err := os.MkdirTemp(filepath.Join(c.dir, "tmp"), c.key+".")
	if err != nil {
		return cacheError(err)
	}
	defer func() {
		if err != nil {
			err = also(err, removePath(tmp))
		}
	}()
	meta, err := c.unpack(ctx, tmp)
	if err != nil {
		return spaceError(err)
	}
	if err := meta.write(tmp); err != nil {
		return spaceError(cacheError(err))
	}
	// What is there without a readable meta.json is no root of ours.
	if err := removePath(c.root()); err != nil {
		return cacheError(err)
	}
	return cacheError(os.Rename(tmp, c.root()))
}

// unpack unpacks the image into dir, from another root if one shares layers
// with it, and records what it does.
func (c *cached) unpack(ctx context.Context, dir string) (*rootMeta, error) {
	b := c.base()
	defer b.close()
	meta, err := c.unpackFrom(ctx, dir, b)
	var share *shareError
	if b == nil || !errors.As(err, &share) {
		return meta, err
	}
	for _, name := range []string{rootfsName, lowerName, recordName} {
		if err := removePath(filepath.Join(dir, name)); err != nil {
			return nil, cacheError(err)
		}
	}
	return c.unpackFrom(ctx, dir, nil)
}

func (c *cached) unpackFrom(ctx context.Context, dir string, b *base) (*rootMeta, error) {
	meta := newMeta(c.img, c.store.Ownership)
	if b != nil {
		meta.Base = b.layers
	}
	record, err := newRecorder(dir)
	if err != nil {
		return nil, cacheError(err)
	}
	o := c.store.options()
	o.OnSkip = meta.skip
	err = unpack(ctx, c.img, filepath.Join(dir, rootfsName), o, b, record)
	sum, cerr := record.close()
	if err != nil {
		return nil, err
	}
	meta.Record, meta.Files = sum, record.files
	return meta, cacheError(cerr)
}

func (s *Store) options() UnpackOptions {
	return UnpackOptions{Ownership: s.Ownership, Limits: s.Limits, Progress: s.Progress}
}

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
