package convert

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"strings"
	"testing/fstest"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// model carries a plan's steps out on a tree in memory, and finds what the
// kernel would refuse or take elsewhere. It knows nothing of how plans are
// made and resolves nothing: a destination is right when each of its
// components is there and none is a symlink.
type model struct {
	image, host fstest.MapFS
	nodes       map[string]fs.FileMode // by absolute path
	mounts      map[string]ground      // what is mounted last at a place
	stacked     map[string]bool        // mounts that are an overlay on an overlay
	order       []string               // of the mounts made, masks left out
}

// ground says who can make what is missing in a mount.
type ground int

const (
	fixed  ground = iota // nobody
	memory               // the step that needs it
	kernel               // nobody, and what is there is not known
)

func (m *model) run(steps []bwrap.Step, keepOrder bool) error {
	m.nodes, m.mounts = map[string]fs.FileMode{"/": fs.ModeDir}, map[string]ground{}
	m.stacked = map[string]bool{}
	for i, s := range steps {
		if err := m.do(s.Op); err != nil {
			return fmt.Errorf("step %d, %T %s: %w", i, s.Op, s.Op.Dest(), err)
		}
		if s.Why == "linux.maskedPaths" || s.Why == "linux.readonlyPaths" || keepOrder {
			continue
		}
		switch s.Op.(type) {
		case bwrap.Dir, bwrap.Symlink, bwrap.RemountRO:
			continue
		}
		for _, earlier := range m.order {
			if earlier != s.Op.Dest() && within(earlier, s.Op.Dest()) {
				return fmt.Errorf("step %d, %T %s: hides %s", i, s.Op, s.Op.Dest(), earlier)
			}
		}
		m.order = append(m.order, s.Op.Dest())
	}
	return nil
}

func (m *model) do(op bwrap.Op) error {
	dst := op.Dest()
	if !path.IsAbs(dst) || path.Clean(dst) != dst {
		return fmt.Errorf("not absolute and clean")
	}
	switch o := op.(type) {
	case bwrap.RemountRO:
		if _, ok := m.mounts[dst]; !ok {
			return fmt.Errorf("no mount")
		}
		return m.walk(dst)
	case bwrap.Dir:
		return m.mkdir(dst)
	case bwrap.Symlink:
		m.nodes[dst] = fs.ModeSymlink
		return m.walk(path.Dir(dst))
	case bwrap.File:
		return m.mountFile(dst)
	case bwrap.Bind:
		return m.bind(o)
	case bwrap.Overlay:
		for _, l := range o.Lower {
			if path.Join("/cache/root", dst) != l && dst != "/" {
				return fmt.Errorf("shows %s", l)
			}
		}
		if o.Merged && m.stacked[m.mountOf(dst)] {
			return fmt.Errorf("a third overlay on %s", m.mountOf(dst))
		}
		if err := m.mountDir(dst, fixed); err != nil {
			return err
		}
		m.stacked[dst] = o.Merged
		m.copy(m.image, dst, dst)
		m.mounts[dst] = memory // for the points
		for _, p := range o.Points {
			if err := m.makePoint(p); err != nil {
				return fmt.Errorf("point %s: %w", p.Path, err)
			}
		}
		m.mounts[dst] = fixed
		return nil
	case bwrap.Dev:
		if err := m.mountDir(dst, memory); err != nil {
			return err
		}
		for _, l := range []string{"fd", "stdin", "stdout", "stderr", "core", "ptmx"} {
			m.nodes[dst+"/"+l] = fs.ModeSymlink
		}
		for _, d := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
			m.nodes[dst+"/"+d] = fs.ModeDevice
		}
		m.nodes[dst+"/pts"], m.nodes[dst+"/shm"] = fs.ModeDir, fs.ModeDir
		m.mounts[dst+"/pts"] = kernel
		return nil
	case bwrap.Tmpfs:
		return m.mountDir(dst, memory)
	}
	return m.mountDir(dst, kernel) // Proc, Mqueue
}

func (m *model) makePoint(p bwrap.Point) error {
	if !p.File {
		return m.mkdir(p.Path)
	}
	if err := m.mkdir(path.Dir(p.Path)); err != nil {
		return err
	}
	m.nodes[p.Path] = 0
	return m.walk(path.Dir(p.Path))
}

func (m *model) bind(o bwrap.Bind) error {
	tree, src := m.host, o.Src
	if rest, ok := strings.CutPrefix(o.Src, "/cache/root"); ok {
		tree, src = m.image, "/"+strings.TrimPrefix(rest, "/")
	}
	info, err := fs.Lstat(tree, strings.TrimPrefix(path.Join(".", src), "/"))
	switch {
	case src == "/":
	case err != nil && m.ground(o.Dst) == kernel: // a mask
		return m.walk(o.Dst)
	case err != nil:
		return err
	case o.Src == "/dev/null", !info.IsDir():
		return m.mountFile(o.Dst)
	}
	if o.Src != src && m.ground(o.Dst) == memory { // bubblewrap and the stage make it
		if err := m.mkdir(o.Dst); err != nil {
			return err
		}
	}
	g := fixed
	if o.Src == "/sys" || o.Src == "/proc/sys" {
		g = kernel
	}
	if err := m.mountDir(o.Dst, g); err != nil {
		return err
	}
	m.copy(tree, src, o.Dst)
	return nil
}

// ground of the mount that the name lies in.
func (m *model) ground(name string) ground { return m.mounts[m.mountOf(name)] }

func (m *model) mountOf(name string) string {
	for dir := name; ; dir = path.Dir(dir) {
		if _, ok := m.mounts[dir]; ok || dir == "/" {
			return dir
		}
	}
}

// walk goes to the name as the kernel does, and meets no link.
func (m *model) walk(name string) error {
	for i, r := range name + "/" {
		if r != '/' || i == 0 {
			continue
		}
		at := name[:i]
		if m.ground(at) == kernel && m.mounts[at] != kernel {
			return nil
		}
		mode, ok := m.nodes[at]
		switch {
		case !ok:
			return fmt.Errorf("%s: missing", at)
		case mode&fs.ModeSymlink != 0:
			return fmt.Errorf("%s: a symlink", at)
		case !mode.IsDir() && at != name:
			return fmt.Errorf("%s: not a directory", at)
		}
	}
	return nil
}

func (m *model) mkdir(name string) error {
	if _, ok := m.nodes[name]; !ok {
		if err := m.mkdir(path.Dir(name)); err != nil {
			return err
		}
		if m.ground(name) != memory {
			return fmt.Errorf("%s: can't be made", name)
		}
		m.nodes[name] = fs.ModeDir
	}
	if !m.nodes[name].IsDir() {
		return fmt.Errorf("%s: no directory", name)
	}
	return m.walk(name)
}

func (m *model) mountDir(dst string, g ground) error {
	if err := m.walk(dst); err != nil {
		return err
	}
	if m.ground(dst) != kernel && !m.nodes[dst].IsDir() {
		return fmt.Errorf("not a directory")
	}
	maps.DeleteFunc(m.nodes, func(name string, _ fs.FileMode) bool { return name != dst && within(name, dst) })
	maps.DeleteFunc(m.mounts, func(name string, _ ground) bool { return within(name, dst) })
	delete(m.stacked, dst)
	m.mounts[dst], m.nodes[dst] = g, fs.ModeDir
	return nil
}

func (m *model) mountFile(dst string) error {
	if _, ok := m.nodes[dst]; !ok && m.ground(dst) == memory { // bubblewrap and the stage make it
		if err := m.mkdir(path.Dir(dst)); err != nil {
			return err
		}
		m.nodes[dst] = 0
	}
	if err := m.walk(dst); err != nil {
		return err
	}
	if m.nodes[dst].IsDir() && m.ground(dst) != kernel {
		return fmt.Errorf("a directory")
	}
	if m.ground(dst) != kernel {
		m.nodes[dst], m.mounts[dst] = 0, fixed
	}
	return nil
}

// copy shows the tree's directory at dst.
func (m *model) copy(tree fstest.MapFS, src, dst string) {
	for name, f := range tree {
		if abs := path.Join("/", name); within(abs, src) && abs != src {
			m.nodes[path.Join(dst, strings.TrimPrefix(abs, src))] = f.Mode
		}
	}
}
