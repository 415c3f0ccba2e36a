package layout

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	maxOpenDirs    = 64   // directory handles kept
	maxPaths       = 4096 // resolved paths remembered
	maxLinks       = 40   // symlinks followed in one path, as the kernel does
	maxPath        = 4095 // bytes of a path inside the root
	resolveNoLinks = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS
)

// tree is the directories of a root that is being unpacked. It starts empty
// and nobody else writes to it, so every directory in it is known here.
// Directories are 0700 and ours until finish gives them what they shall have.
type tree struct {
	rootFD  int
	root    *dir
	layer   int // that is being applied, from 0
	open    []*dir
	implied meta // of a directory that no layer lists; its time is fixed, so that the same layers always make the same tree
	clock   uint64
	paths   map[string]*dir // resolved parents; emptied when a directory or symlink goes
	chmod   bool            // the umask takes bits from 0700
	record  *recorder       // nil: what is done is not recorded
}

// dir is a directory of the tree.
type dir struct {
	parent   *dir // nil: the root
	name     string
	children map[string]*dir

	made int // the layer that made it
	fd   int // -1: not open
	used uint64

	// What the layer being applied has put here: touched says whether
	// anything is here or below, listed whether it has an entry of its own,
	// names which entries are not directories, stripped whether nothing else is
	// left.
	touched, listed, stripped, namesOf int
	names                              map[string]struct{}

	meta   meta
	xattrs []xattr // that were set
}

func newTree(rootFD int) *tree {
	t := &tree{rootFD: rootFD, paths: map[string]*dir{}, implied: meta{mode: 0o755}}
	t.root = t.newDir(nil, "")
	return t
}

func (t *tree) newDir(parent *dir, name string) *dir {
	return &dir{parent: parent, name: name, fd: -1, made: t.layer, touched: -1, listed: -1, stripped: -1, namesOf: -1, meta: t.implied}
}

// path is the directory's path below the root, without links; "." is the root.
func (d *dir) path() string {
	if d.parent == nil {
		return "."
	}
	var names []string
	for ; d.parent != nil; d = d.parent {
		names = append(names, d.name)
	}
	var b strings.Builder
	for i := len(names) - 1; i >= 0; i-- {
		b.WriteString(names[i])
		if i > 0 {
			b.WriteByte('/')
		}
	}
	return b.String()
}

// handle returns an open descriptor of d. It stays open at least until
// maxOpenDirs-1 other directories have been asked for.
func (t *tree) handle(d *dir) (int, error) {
	if d.parent == nil {
		return t.rootFD, nil
	}
	t.clock++
	d.used = t.clock
	if d.fd >= 0 {
		return d.fd, nil
	}
	if len(t.open) == maxOpenDirs {
		oldest := 0
		for i, o := range t.open {
			if o.used < t.open[oldest].used {
				oldest = i
			}
		}
		t.closeDir(t.open[oldest])
	}
	path := d.path()
	if len(path) > maxPath {
		return -1, unix.ENAMETOOLONG
	}
	// No link is left in the path: that the kernel refuses to follow one
	// makes the tree in memory a cache, not the defence.
	fd, err := openat2(t.rootFD, path, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: resolveNoLinks,
	})
	if err != nil {
		return -1, err
	}
	d.fd = fd
	t.open = append(t.open, d)
	return fd, nil
}

func (t *tree) closeDir(d *dir) {
	for i, o := range t.open {
		if o == d {
			unix.Close(d.fd)
			d.fd = -1
			t.open[i] = t.open[len(t.open)-1]
			t.open = t.open[:len(t.open)-1]
			return
		}
	}
}

func (t *tree) close() {
	for _, d := range t.open {
		unix.Close(d.fd)
		d.fd = -1
	}
	t.open = nil
}

// walk resolves a path to a directory, symlinks as RESOLVE_IN_ROOT does. What
// is missing is made if create is set, otherwise nil is returned, as it is
// when a component is no directory.
func (t *tree) walk(path string, create bool) (*dir, error) {
	if d := t.paths[path]; d != nil {
		return d, nil
	}
	cur, links, rest := t.root, 0, path
	for rest != "" {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		switch name {
		case "", ".":
			continue
		case "..":
			if cur.parent != nil {
				cur = cur.parent
			}
			continue
		}
		if child := cur.children[name]; child != nil {
			cur = child
			continue
		}
		next, target, err := t.step(cur, name, create)
		if err != nil || next == nil && target == "" {
			return nil, err
		}
		if next != nil {
			cur = next
			continue
		}
		if links++; links > maxLinks {
			return nil, unix.ELOOP
		}
		if target[0] == '/' {
			cur = t.root
		}
		rest = target + "/" + rest
	}
	if len(t.paths) >= maxPaths {
		clear(t.paths)
	}
	t.paths[path] = cur
	return cur, nil
}

// step looks at a component that is no known directory: it returns the target
// of a symlink, or the directory made in its place, or neither.
func (t *tree) step(cur *dir, name string, create bool) (next *dir, target string, err error) {
	fd, err := t.handle(cur)
	if err != nil {
		return nil, "", err
	}
	kind, err := lstatKind(fd, name)
	switch {
	case errors.Is(err, unix.ENOENT):
		if !create {
			return nil, "", nil
		}
	case err != nil:
		return nil, "", err
	case kind == unix.S_IFLNK:
		target, err = readlinkat(fd, name)
		return nil, target, err
	case kind == unix.S_IFDIR:
		return nil, "", errors.New("the directory is being changed by somebody else")
	case !create:
		return nil, "", nil
	case t.isUpper(cur, name):
		return nil, "", fmt.Errorf("%s is not a directory", quote(childPath(cur, name)))
	default:
		if err := t.remove(cur, name); err != nil {
			return nil, "", err
		}
	}
	if strings.HasPrefix(name, whiteoutPrefix) {
		return nil, "", errors.New("lies below a link to a whiteout")
	}
	next, err = t.mkdir(cur, name)
	return next, "", err
}

// mkdir makes a directory nobody listed yet: 0755, owned by root or the
// caller.
func (t *tree) mkdir(parent *dir, name string) (*dir, error) {
	fd, err := t.handle(parent)
	if err != nil {
		return nil, err
	}
	if err := retry(func() error { return unix.Mkdirat(fd, name, 0o700) }); err != nil {
		return nil, err
	}
	if t.chmod {
		if err := chmodat(fd, name, 0o700); err != nil {
			return nil, err
		}
	}
	d := t.newDir(parent, name)
	if parent.children == nil {
		parent.children = map[string]*dir{}
	}
	parent.children[name] = d
	t.record.dir(d)
	t.touch(d)
	return d, nil
}

// touch notes that the layer being applied has put something into d.
func (t *tree) touch(d *dir) {
	for ; d != nil && d.touched != t.layer; d = d.parent {
		d.touched = t.layer
	}
}

// mark notes an entry of the layer being applied that is no directory. The
// lowest layer needs no notes: it has nothing below it.
func (t *tree) mark(d *dir, name string) {
	t.touch(d)
	if t.layer == 0 {
		return
	}
	if d.namesOf != t.layer {
		d.namesOf, d.names = t.layer, map[string]struct{}{}
	}
	d.names[name] = struct{}{}
}

// isUpper says whether name, which is no directory, is of the layer being
// applied.
func (t *tree) isUpper(d *dir, name string) bool {
	if t.layer == 0 {
		return true
	}
	if d.namesOf != t.layer {
		return false
	}
	_, ok := d.names[name]
	return ok
}

func childPath(d *dir, name string) string {
	if d.parent == nil {
		return name
	}
	return d.path() + "/" + name
}
