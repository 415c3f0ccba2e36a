package layout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// nixNode is a file of a layer, by its place in the image. A layer is a tree
// of them: what the image calls a file and where in the store it lies are two
// things, and of two store paths that hold one file the later gives it.
type nixNode struct {
	info     fs.FileInfo // nil = a directory that no path holds, only names
	source   string      // where it lies
	options  *nixOptions
	owned    bool // by whom the file's own owner says: it is the base's, not the store's
	children map[string]*nixNode
}

// tree reads the names of all that the layer's paths hold.
func (l *nixLayer) tree(ctx context.Context) (*nixNode, error) {
	root := &nixNode{}
	for n := range l.Paths {
		if err := root.addPath(ctx, &l.Paths[n]); err != nil {
			return nil, err
		}
	}
	return root, nil
}

// addPath adds all below a store path.
func (n *nixNode) addPath(ctx context.Context, p *nixPath) error {
	if err := p.reachable(); err != nil {
		return err
	}
	return filepath.WalkDir(p.Path, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return n.add(file, info, p.Options)
	})
}

// reachable says whether the path is there, and no symlink is on the way.
func (p *nixPath) reachable() error {
	dir := path.Dir(p.Path)
	real, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return missingPaths([]string{p.Path})
	}
	if err == nil && dir != nixStoreDir && real != dir {
		return fmt.Errorf("%s: lies below a symlink", quote(p.Path))
	}
	return err
}

// place is where in the image a file of the store is to be, "" for nowhere.
func (o *nixOptions) place(file string) string {
	if o == nil || o.rewrite == nil {
		return file
	}
	return o.rewrite.ReplaceAllString(file, o.Rewrite.Repl)
}

// add adds one file. Two paths may hold the same file if it is alike.
func (n *nixNode) add(file string, info fs.FileInfo, o *nixOptions) error {
	place := o.place(file)
	if place == "" {
		return nil
	}
	at := n.at(place)
	if have := at.info; have != nil {
		switch {
		case have.Mode() != info.Mode():
			return fmt.Errorf("%s is in %s and, as %s, in %s as %s", quote(place), quote(at.source), have.Mode(), quote(file), info.Mode())
		case info.Mode().IsRegular() && have.Size() != info.Size():
			return fmt.Errorf("%s is in %s and, of another size, in %s", quote(place), quote(at.source), quote(file))
		case !samePerms(at.options, o):
			return fmt.Errorf("%s is in %s and, with other perms, in %s", quote(place), quote(at.source), quote(file))
		}
	}
	at.info, at.source, at.options = info, file, o
	return nil
}

// at returns the node of a place in the image, which may be relative, and
// makes it, and what is above it, where it isn't there yet.
func (n *nixNode) at(place string) *nixNode {
	place = path.Clean(place)
	parts := strings.Split(place, "/")
	if place == "/" {
		parts = []string{""}
	}
	for _, part := range parts {
		next := n.children[part]
		if next == nil {
			next = &nixNode{}
			if n.children == nil {
				n.children = map[string]*nixNode{}
			}
			n.children[part] = next
		}
		n = next
	}
	return n
}

// samePerms compares the perms of a file that two paths hold. The tool does
// not mind perms that only the later of the two has.
func samePerms(have, more *nixOptions) bool {
	if have == nil {
		return true
	}
	var perms []nixPerm
	if more != nil {
		perms = more.Perms
	}
	return slices.EqualFunc(have.Perms, perms, func(a, b nixPerm) bool {
		a.regex, b.regex = nil, nil
		return a == b
	})
}

// attributes are a file's in the image.
type nixAttributes struct {
	mode         int64
	uid, gid     int
	uname, gname string
}

// attributes are what the image gives a file: the store's mode and root, but
// for what perms say, of which the last that match win.
func (n *nixNode) attributes() nixAttributes {
	a := nixAttributes{mode: 0o755, uname: "root", gname: "root"}
	if n.info == nil {
		return a
	}
	a.mode = int64(n.info.Mode().Perm()) | setBits(n.info.Mode())
	if n.info.Mode()&fs.ModeSymlink != 0 {
		a.mode = 0o777
	}
	if st, ok := n.info.Sys().(*syscall.Stat_t); ok && n.owned {
		a.uid, a.gid = int(st.Uid), int(st.Gid)
	}
	if n.options == nil {
		return a
	}
	for _, p := range n.options.Perms {
		if !p.regex.MatchString(n.source) {
			continue
		}
		a.uid, a.gid = p.UID, p.GID
		if p.Uname != "" {
			a.uname = p.Uname
		}
		if p.Gname != "" {
			a.gname = p.Gname
		}
		if p.Mode != "" {
			a.mode = p.mode
		}
	}
	return a
}

// setBits are a mode's set-id and sticky bits as chmod(2) has them.
func setBits(m fs.FileMode) (bits int64) {
	for _, b := range []struct {
		bit fs.FileMode
		is  int64
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if m&b.bit != 0 {
			bits |= b.is
		}
	}
	return bits
}
