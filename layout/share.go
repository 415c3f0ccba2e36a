package layout

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// base is a root of the cache whose lowest layers are those of an image that
// is to be unpacked. The image's root starts as what these layers amount to:
// directories of its own and hard links to the base's files. That is safe
// because files are only ever replaced, never changed, by what unpacks, and
// roots are only ever bound read-only or below an overlay. It is better than
// reflinks: it works on every file system, costs one call a file, and
// sandboxes share what the kernel has read.
type base struct {
	dir    string // of the root in the cache
	meta   *rootMeta
	layers int // how many are shared
	lock   *lock
}

// shareError is a fault of a base, without which unpacking may go well.
type shareError struct{ error }

func (e *shareError) Unwrap() error { return e.error }

// base finds the root that shares the most layers with the image, or nil.
// Until close it is not pruned.
func (c *cached) base() *base {
	entries, err := os.ReadDir(filepath.Join(c.dir, "roots"))
	if err != nil || len(c.img.Layers) == 0 {
		return nil
	}
	var best *base
	var bestKey string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), "-"+c.store.Ownership.name()) {
			continue
		}
		dir := filepath.Join(c.dir, "roots", e.Name())
		meta, err := readMeta(dir)
		if err != nil {
			continue
		}
		if n := meta.shares(c.img); n > 0 && (best == nil || n > best.layers) {
			best, bestKey = &base{dir: dir, meta: meta, layers: n}, e.Name()
		}
	}
	if best == nil {
		return nil
	}
	path := filepath.Join(c.dir, "locks", bestKey)
	if best.lock, err = openLock(path); err != nil {
		return nil
	}
	if best.lock.try(unix.LOCK_SH) != nil || best.lock.stale(path) {
		best.close()
		return nil
	}
	return best
}

func (b *base) close() {
	if b != nil {
		_ = b.lock.close()
	}
}

// shares returns how many of its lowest layers a root has in common with img,
// 0 if its record can't tell them from those above.
func (m *rootMeta) shares(img *Image) int {
	n := 0
	for n < min(len(m.DiffIDs), len(img.Layers)) && m.DiffIDs[n] == img.Layers[n].DiffID.String() {
		n++
	}
	if n < m.Base {
		return 0
	}
	return n
}

// seed makes the tree that the layers shared with b amount to.
func (a *applier) seed(b *base) error {
	p, err := openReplay(b.dir, b.meta.Record)
	if err != nil {
		return &shareError{err}
	}
	defer p.close()
	if err := p.to(b.layers); err != nil {
		return &shareError{err}
	}
	skipped := p.skipped
	root := p.root.copy()
	// What layers above have removed lies elsewhere now.
	if err := p.to(-1); err != nil {
		return &shareError{err}
	}
	for _, s := range skipped {
		a.skip(s.Path, s.What, s.Why)
	}
	src, err := unix.Open(b.dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &shareError{err}
	}
	defer unix.Close(src)
	s := &seeder{applier: a, src: src, fd: -1}
	defer s.leave()
	a.layer = b.layers - 1
	if err := s.dir(a.root, root); err != nil {
		if a.ctx.Err() != nil {
			return err
		}
		return &shareError{err}
	}
	a.record.layers(b.layers)
	return nil
}

// copied is a node as it was, and the node it was copied from, which later
// layers move.
type copied struct {
	node
	of       *node
	children map[string]*copied
}

func (n *node) copy() *copied {
	c := &copied{node: *n, of: n}
	if n.children != nil {
		c.children = make(map[string]*copied, len(n.children))
	}
	for name, child := range n.children {
		c.children[name] = child.copy()
	}
	return c
}

// seeder makes a tree from nodes and the files of a root.
type seeder struct {
	*applier
	src int    // the root's directory in the cache
	in  string // the directory in src that fd is
	fd  int
}

func (s *seeder) dir(d *dir, n *copied) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if err := s.list(d, n.meta, n.xattrs); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		child := n.children[name]
		if child.kind != recDir {
			if err := s.leaf(d, name, child); err != nil {
				return fmt.Errorf("%s: %w", quote(childPath(d, name)), err)
			}
			continue
		}
		sub, err := s.mkdir(d, name)
		if err != nil {
			return err
		}
		if err := s.dir(sub, child); err != nil {
			return err
		}
	}
	return nil
}

// leaf makes what is no directory.
func (s *seeder) leaf(d *dir, name string, n *copied) error {
	switch n.kind {
	case recSymlink:
		return s.symlink(d, name, n.target, n.meta)
	case recNode:
		return s.node(d, name, n.typ, n.dev, n.meta)
	case recAbsent:
		s.skipped[place{d, name}] = true
		s.record.absent(d, name)
		return nil
	}
	from, err := s.open(n.of)
	if err != nil {
		return err
	}
	fd, err := s.handle(d)
	if err != nil {
		return err
	}
	at := n.of.path()
	if err := unix.Linkat(from, at[strings.LastIndexByte(at, '/')+1:], fd, name, 0); err != nil {
		return err
	}
	s.record.file(d, name, n.meta, n.size, n.sum, n.xattrs)
	return nil
}

// open returns the directory in which a node lies now.
func (s *seeder) open(n *node) (int, error) {
	in := lowerName
	if n.lower == 0 {
		in = n.parent.path()
	}
	if s.fd >= 0 && s.in == in {
		return s.fd, nil
	}
	s.leave()
	fd, err := openat2(s.src, in, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: resolveNoLinks,
	})
	if err != nil {
		return -1, err
	}
	s.fd, s.in = fd, in
	return fd, nil
}

func (s *seeder) leave() {
	if s.fd >= 0 {
		unix.Close(s.fd)
		s.fd = -1
	}
}
