package layout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Damage is a difference between a root and what was unpacked.
type Damage struct {
	Key  string `json:"key"`  // of the root
	Path string `json:"path"` // in it; "" when it is the cache's own data
	What string `json:"what"`
}

// Verify compares every root with what was unpacked: names, types, modes,
// owners, times, link targets, extended attributes and contents. It follows
// no link and changes nothing. What its modes keep the caller from reading is
// not looked at.
func (s *Store) Verify(ctx context.Context) ([]Damage, error) {
	c, err := s.cache()
	if err != nil {
		return nil, err
	}
	keys, err := c.keys()
	if err != nil {
		return nil, cacheError(err)
	}
	p := Progress{Step: Checking, Part: 1, Parts: len(keys)}
	if s.Progress != nil {
		for _, key := range keys {
			p.Total += c.at(key).recorded()
		}
	}
	count := startMeter(s.Progress, p)
	defer count.stop()
	var found []Damage
	var faults []error
	for n, key := range keys {
		count.begin(n + 1)
		damage, err := c.at(key).verify(ctx, count)
		if ctx.Err() != nil {
			return found, err
		}
		if err != nil {
			faults = append(faults, err)
		}
		found = append(found, damage...)
	}
	return found, errors.Join(faults...)
}

// verify compares one root. The shared lock keeps it from being pruned.
func (c *cached) verify(ctx context.Context, count *meter) (found []Damage, err error) {
	l, err := openLock(c.lockPath())
	if err != nil {
		return nil, cacheError(err)
	}
	defer func() { err = also(err, l.close()) }()
	switch err := l.try(unix.LOCK_SH); {
	case err == errLocked:
		return nil, nil // being made, or removed
	case err != nil:
		return nil, cacheError(err)
	}
	own := func(err error) ([]Damage, error) {
		return []Damage{{c.key, "", err.Error()}}, nil
	}
	meta, err := readMeta(c.root())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Lstat(c.root()); err != nil {
			return nil, nil // pruned meanwhile
		}
		return own(fmt.Errorf("no root of this version: %s is missing or damaged, or a link stands for a directory", metaName))
	case err != nil:
		return nil, cacheError(err)
	}
	p, err := openReplay(c.root(), meta.Record)
	if err != nil {
		return own(err)
	}
	defer p.close()
	if err := p.to(-1); err != nil {
		return own(err)
	}
	v := &verifier{ctx: ctx, key: c.key, count: count, buf: make([]byte, 256<<10)}
	if v.owners, err = newOwners(meta.IDs); err != nil {
		return own(err)
	}
	fd, err := unix.Open(filepath.Join(c.root(), rootfsName), unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		v.report("/", err.Error())
		return v.found, nil
	}
	defer unix.Close(fd)
	err = v.dir(fd, ".", "/", p.root)
	return v.found, err
}

// verifier compares a tree with nodes.
type verifier struct {
	ctx   context.Context
	key   string
	count *meter
	buf   []byte
	found []Damage

	owners owners
}

func (v *verifier) report(path, what string) {
	v.found = append(v.found, Damage{v.key, path, what})
}

func (v *verifier) differs(path, what string, got, want any) {
	v.report(path, fmt.Sprintf("%s is %v instead of %v", what, got, want))
}

// dir compares a directory and all below it.
func (v *verifier) dir(parent int, name, path string, n *node) error {
	if err := v.ctx.Err(); err != nil {
		return context.Cause(v.ctx)
	}
	fd, err := openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EACCES) && n.meta.mode&0o500 != 0o500 {
		return nil
	}
	if err != nil {
		v.report(path, err.Error())
		return nil
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	v.meta(path, &st, n)
	v.xattrs(fd, path, n)
	names, err := dirNames(fd)
	if err != nil {
		v.report(path, err.Error())
		return nil
	}
	slices.Sort(names)
	for _, name := range names {
		child := n.children[name]
		if child == nil || child.kind == recAbsent {
			v.report(join(path, name), "was added")
			continue
		}
		if err := v.entry(fd, name, join(path, name), child); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		if _, ok := slices.BinarySearch(names, name); !ok && n.children[name].kind != recAbsent {
			v.report(join(path, name), "is missing")
		}
	}
	return nil
}

func join(dir, name string) string { return strings.TrimSuffix(dir, "/") + "/" + name }
