package layout

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// CacheEntry is a root in the cache.
type CacheEntry struct {
	Key       string    `json:"key"`
	Image     string    `json:"image"` // the name it was first used by
	ChainID   string    `json:"chainID"`
	Ownership string    `json:"ownership"`
	Layers    int       `json:"layers"`
	Files     int64     `json:"files"`   // regular ones
	Size      int64     `json:"size"`    // bytes on disk of all that belongs to it
	Own       int64     `json:"own"`     // of these, what removing it gives back
	LastUse   time.Time `json:"lastUse"` // to the second
	InUse     bool      `json:"inUse"`   // by a process that runs or unpacks it
}

// List returns what is in the cache, last used first. That there is no cache
// is no error. A root that can't be looked at, such as another user's, is one,
// and the list has the others.
func (s *Store) List() ([]CacheEntry, error) {
	c, err := s.cache()
	if err != nil {
		return nil, err
	}
	keys, err := c.keys()
	if err != nil {
		return nil, cacheError(err)
	}
	var list []CacheEntry
	var faults []error
	for _, key := range keys {
		e, err := c.at(key).describe()
		switch {
		case err == nil:
			list = append(list, e)
		case !errors.Is(err, fs.ErrNotExist):
			faults = append(faults, cacheError(err))
		}
	}
	slices.SortFunc(list, func(a, b CacheEntry) int {
		return cmp.Or(b.LastUse.Compare(a.LastUse), strings.Compare(a.Key, b.Key))
	})
	return list, errors.Join(faults...)
}

// cache is the cache as a whole: a place without a key.
func (s *Store) cache() (*cached, error) {
	if s.Dir == "" {
		return nil, errors.New("cache: no directory given")
	}
	dir, err := filepath.Abs(s.Dir)
	return &cached{store: s, dir: dir}, err
}

func (c *cached) at(key string) *cached { return &cached{store: c.store, dir: c.dir, key: key} }

// keys lists the roots that are there, complete or not.
func (c *cached) keys() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(c.dir, "roots"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var keys []string
	for _, e := range entries {
		keys = append(keys, e.Name())
	}
	return keys, err
}

// describe looks at a root. Its error is fs.ErrNotExist if it isn't there or
// is of another version.
func (c *cached) describe() (CacheEntry, error) {
	meta, err := readMeta(c.root())
	if err != nil {
		return CacheEntry{}, err
	}
	e := CacheEntry{
		Key: c.key, Image: meta.Image, ChainID: meta.ChainID, Ownership: meta.Ownership,
		Layers: len(meta.DiffIDs), Files: meta.Files, LastUse: c.lastUse(),
	}
	if e.InUse, err = c.inUse(); err != nil {
		return e, err
	}
	e.Size, e.Own = diskUsage(c.root())
	return e, nil
}

// lastUse is the time of the lock, which each use sets, or else that of the
// unpacking.
func (c *cached) lastUse() time.Time {
	for _, path := range []string{c.lockPath(), filepath.Join(c.root(), metaName)} {
		if info, err := os.Stat(path); err == nil {
			return info.ModTime().Truncate(time.Second)
		}
	}
	return time.Time{}
}

// inUse says whether another process, or another Rootfs of this one, holds the
// root. Who wants it in this very instant waits and tries again.
func (c *cached) inUse() (bool, error) {
	f, err := os.Open(c.lockPath())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	l := &lock{f}
	err = l.try(unix.LOCK_EX)
	cerr := l.close()
	if err == errLocked {
		return true, cerr
	}
	return false, also(err, cerr)
}

// diskUsage returns the bytes on disk of all below dir, and how many of them
// have no name elsewhere. What can't be looked at doesn't count.
func diskUsage(dir string) (all, own int64) {
	type inode struct {
		names uint64 // not seen so far
		size  int64
	}
	linked := map[uint64]*inode{}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // goes on behind it
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return nil
		}
		size := st.Blocks * 512
		if info.IsDir() || st.Nlink == 1 {
			all, own = all+size, own+size
			return nil
		}
		in := linked[st.Ino]
		if in == nil {
			in = &inode{uint64(st.Nlink), size}
			linked[st.Ino] = in
			all += size
		}
		in.names--
		if in.names == 0 {
			own += size
		}
		return nil
	})
	return all, own
}
