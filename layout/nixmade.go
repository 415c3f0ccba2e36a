package layout

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"
)

// made is what of the wanted tree neither the store paths merged at / nor the
// base show as they are. It always has /, whose mode no store path has.
func (c *composer) made() (*nixNode, error) {
	lower := slices.Clone(c.merged)
	slices.Reverse(lower) // topmost first
	if c.base != "" {
		lower = append(lower, c.base)
	}
	root := c.want.at("/") // at has it made for an image without files
	made, err := c.differing(root, "/", lower)
	if err != nil {
		return nil, err
	}
	if made == nil {
		made = root.bare()
	}
	if len(c.store) > 0 {
		top := &nixNode{children: map[string]*nixNode{"": made}}
		for _, dir := range []string{path.Dir(nixStoreDir), nixStoreDir} {
			like := c.want.at(dir)
			at := top.at(dir)
			at.info, at.source, at.options = like.info, like.source, like.options
		}
	}
	return &nixNode{children: map[string]*nixNode{"": made}}, nil
}

// bare is the node without what is below it.
func (n *nixNode) bare() *nixNode {
	return &nixNode{info: n.info, source: n.source, options: n.options, owned: n.owned}
}

// differing returns what of n and all below has to be made because lower, the
// directories that are merged there, topmost first, does not show it; nil for
// nothing.
func (c *composer) differing(n *nixNode, place string, lower []string) (*nixNode, error) {
	out := n.bare()
	needed := place == "/" || !c.shows(n, lower)
	inStore := path.Dir(place) == nixStoreDir
	if inStore {
		// It is bound as a whole, from the one directory that is made.
		needed = true
		if err := c.addBase(n, place); err != nil {
			return nil, err
		}
		out, lower = n.bare(), nil
	}
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		child := n.children[name]
		below, err := mergedBelow(lower, name)
		if err != nil {
			return nil, err
		}
		made, err := c.differing(child, path.Join(place, name), below)
		if err != nil {
			return nil, err
		}
		if made != nil {
			if out.children == nil {
				out.children = map[string]*nixNode{}
			}
			out.children[name] = made
			needed = true
		}
	}
	if !needed {
		return nil, nil
	}
	return out, nil
}

// mergedBelow gives what is merged at name in merged directories: one file,
// or the directories down to the first file.
func mergedBelow(lower []string, name string) ([]string, error) {
	var below []string
	for _, dir := range lower {
		file := filepath.Join(dir, name)
		info, err := os.Lstat(file)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
			continue
		case err != nil:
			return nil, err
		case info.IsDir():
			below = append(below, file)
			continue
		case len(below) == 0:
			below = []string{file}
		}
		break
	}
	return below, nil
}

// shows says whether what lies topmost is the node as the image has it: the
// very file, or a directory of a store path with the wanted mode. Of what the
// base has, other layers have decided.
func (c *composer) shows(n *nixNode, lower []string) bool {
	if len(lower) == 0 {
		return false
	}
	a := n.attributes()
	if a.uid != 0 || a.gid != 0 {
		return false
	}
	info, err := os.Lstat(lower[0])
	if err != nil || info.IsDir() != n.isDir() {
		return false
	}
	if c.base != "" && (lower[0] == c.base || len(lower[0]) > len(c.base) && lower[0][:len(c.base)+1] == c.base+"/") {
		return false
	}
	if info.IsDir() {
		return a.mode == int64(info.Mode().Perm())|setBits(info.Mode())
	}
	return lower[0] == n.source && (info.Mode()&fs.ModeSymlink != 0 || a.mode == int64(info.Mode().Perm())|setBits(info.Mode()))
}

// addBase adds what the base has at place and the image's own paths don't.
func (c *composer) addBase(n *nixNode, place string) error {
	if c.base == "" || !n.isDir() {
		return nil
	}
	entries, err := os.ReadDir(filepath.Join(c.base, place))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		below := path.Join(place, e.Name())
		child := n.children[e.Name()]
		if child == nil {
			info, err := e.Info()
			if err != nil {
				return err
			}
			child = &nixNode{info: info, source: filepath.Join(c.base, below), owned: true}
			if n.children == nil {
				n.children = map[string]*nixNode{}
			}
			n.children[e.Name()] = child
		}
		if err := c.addBase(child, below); err != nil {
			return err
		}
	}
	return nil
}
