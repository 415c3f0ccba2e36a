package layout

import (
	"errors"
	"fmt"
	"strings"
)

// Whiteout names, as the image-spec's layer document has them.
const (
	whiteoutPrefix = ".wh."
	opaqueName     = ".wh..wh..opq"
	aufsPrefix     = ".wh..wh." // aufs's own bookkeeping, which has no meaning in an image
)

// isAufs says whether an entry is aufs's bookkeeping.
func isAufs(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(part, aufsPrefix) && part != opaqueName {
			return true
		}
	}
	return false
}

// checkWhiteoutNames refuses names that would leave a ".wh." name in the root,
// or that would act on a directory itself or its parent.
func checkWhiteoutNames(parent, base string) error {
	for part := range strings.SplitSeq(parent, "/") {
		if strings.HasPrefix(part, whiteoutPrefix) {
			return errors.New("lies below a whiteout")
		}
	}
	hidden, ok := strings.CutPrefix(base, whiteoutPrefix)
	if ok && (hidden == "" || hidden == "." || hidden == "..") {
		return fmt.Errorf("whiteout of %q, which is no name", hidden)
	}
	return nil
}

// whiteout applies a whiteout or opaque marker: it removes what lower layers
// have put there and spares what the layer being applied has, whichever came
// first in the archive.
func (a *applier) whiteout(parentPath, base string) error {
	if a.layer == 0 {
		return nil
	}
	parent, err := a.walk(parentPath, false)
	if err != nil || parent == nil {
		return err
	}
	if base == opaqueName {
		return a.strip(parent)
	}
	return a.hide(parent, strings.TrimPrefix(base, whiteoutPrefix))
}

// hide removes what lower layers have put at a name.
func (a *applier) hide(parent *dir, name string) error {
	child := parent.children[name]
	switch {
	case child == nil && a.isUpper(parent, name):
		return nil
	case child == nil || child.touched != a.layer:
		return a.remove(parent, name)
	}
	if err := a.strip(child); err != nil {
		return err
	}
	if child.listed == a.layer {
		return nil
	}
	// The directory of the lower layer is gone; what remains is the implied
	// parent of this layer's entries.
	child.meta = a.implied
	if err := a.setDirXattrs(child, nil); err != nil {
		return err
	}
	a.record.dir(child)
	return nil
}

// strip removes what lower layers have put into a directory.
func (a *applier) strip(d *dir) error {
	if d.stripped == a.layer {
		return nil // one marker more must not cost another look at all entries
	}
	fd, err := a.handle(d)
	if err != nil {
		return err
	}
	names, err := dirNames(fd)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := a.hide(d, name); err != nil {
			return err
		}
	}
	d.stripped = a.layer
	return nil
}
