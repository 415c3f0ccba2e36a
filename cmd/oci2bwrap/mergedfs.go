package main

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// mergedFS is the view of several directories as overlayfs merges them: the
// upper hides the lower, directories are merged, whiteouts hide what is below.
type mergedFS struct {
	layers []mergedLayer // topmost first
}

type mergedLayer struct {
	fs.ReadLinkFS
	markers, hidden, opaque map[string]bool
}

// merge gives the view of dirs, lowest first.
func merge(dirs []string, whiteouts []bwrap.Whiteouts) (*mergedFS, error) {
	m := &mergedFS{}
	for i, dir := range dirs {
		fsys, err := openDir(dir)
		if err != nil {
			return nil, err
		}
		layer := mergedLayer{ReadLinkFS: fsys}
		for _, w := range whiteouts {
			if w.Lower == i {
				layer.markers, layer.hidden, layer.opaque = set(w.Markers), set(w.Hidden), set(w.Opaque)
			}
		}
		m.layers = append(m.layers, layer)
	}
	slices.Reverse(m.layers)
	return m, nil
}

func set(names []string) map[string]bool {
	s := make(map[string]bool, len(names))
	for _, n := range names {
		s[n] = true
	}
	return s
}

// found gives the layers in which name is seen, topmost first: one for a file,
// all that are merged for a directory. Names have no symlinks on the way.
func (m *mergedFS) found(name string) []mergedLayer {
	layers := visible(m.layers, ".", func(mergedLayer) fs.FileMode { return fs.ModeDir })
	if name == "." {
		return layers
	}
	at := "."
	for _, part := range strings.Split(name, "/") {
		at = path.Join(at, part)
		layers = visible(layers, at, func(l mergedLayer) fs.FileMode {
			info, err := l.Lstat(at)
			if err != nil || l.markers[at] {
				return fs.ModeIrregular
			}
			return info.Mode()
		})
	}
	return layers
}

// visible keeps of the layers those in which name is seen, given its mode in
// each; ModeIrregular says that a layer has none.
func visible(layers []mergedLayer, name string, mode func(mergedLayer) fs.FileMode) []mergedLayer {
	var seen []mergedLayer
	for _, l := range layers {
		switch kind := mode(l); {
		case kind == fs.ModeIrregular:
		case kind.IsDir():
			seen = append(seen, l)
		case len(seen) == 0:
			return []mergedLayer{l}
		default:
			return seen // a file below a directory is hidden, with all below it
		}
		if l.hidden[name] || l.opaque[name] && mode(l).IsDir() {
			return seen
		}
	}
	return seen
}

func (m *mergedFS) top(op, name string) (mergedLayer, error) {
	if !fs.ValidPath(name) {
		return mergedLayer{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if found := m.found(name); len(found) > 0 {
		return found[0], nil
	}
	return mergedLayer{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

func (m *mergedFS) Lstat(name string) (fs.FileInfo, error) {
	l, err := m.top("lstat", name)
	if err != nil {
		return nil, err
	}
	return l.Lstat(name)
}

func (m *mergedFS) ReadLink(name string) (string, error) {
	l, err := m.top("readlink", name)
	if err != nil {
		return "", err
	}
	return l.ReadLink(name)
}

func (m *mergedFS) Open(name string) (fs.File, error) {
	l, err := m.top("open", name)
	if err != nil {
		return nil, err
	}
	return l.Open(name)
}

// ReadDir lists the merged directory, sorted by name.
func (m *mergedFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if _, err := m.top("readdir", name); err != nil {
		return nil, err
	}
	entries := map[string]fs.DirEntry{}
	gone := map[string]bool{}
	for _, l := range m.found(name) {
		list, err := fs.ReadDir(l, name)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			at := path.Join(name, e.Name())
			if _, ok := entries[e.Name()]; !ok && !gone[e.Name()] && !l.markers[at] {
				entries[e.Name()] = e
			}
		}
		for hidden := range l.hidden {
			if path.Dir(hidden) == name {
				gone[path.Base(hidden)] = true
			}
		}
	}
	list := make([]fs.DirEntry, 0, len(entries))
	for _, e := range entries {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}
