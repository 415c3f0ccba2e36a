package runner

import (
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// whiteouts gives the layers of an overlay with overlayfs' own whiteouts in
// place of those that the directories name: a layer under such a directory
// hides what lies lower, one over it hides the markers. A whiteout hides
// nothing of its own layer, so one layer for both would not do.
func (m *stageMounter) whiteouts(o bwrap.Overlay) ([]string, error) {
	var layers []string
	for i, dir := range o.Lower {
		n := slices.IndexFunc(o.Whiteouts, func(w bwrap.Whiteouts) bool { return w.Lower == i })
		if n < 0 {
			layers = append(layers, dir)
			continue
		}
		w := o.Whiteouts[n]
		if slices.Contains(w.Opaque, ".") {
			layers = nil
		}
		under := m.next("under")
		if err := m.hide(under, w); err != nil {
			return nil, err
		}
		layers = append(layers, under, dir)
		if len(w.Markers) == 0 {
			continue
		}
		over := m.next("over")
		for _, marker := range w.Markers {
			if err := makeWhiteout(over, append(slices.Clone(o.Lower[:i+1]), under), marker); err != nil {
				return nil, err
			}
		}
		layers = append(layers, over)
	}
	return layers, nil
}

// hide makes the layer that hides lower ones.
func (m *stageMounter) hide(under string, w bwrap.Whiteouts) error {
	if err := mirror(under, nil, "."); err != nil {
		return err
	}
	for _, name := range w.Hidden {
		if err := makeWhiteout(under, nil, name); err != nil {
			return err
		}
	}
	for _, name := range w.Opaque {
		if name == "." {
			continue
		}
		if err := mirrorAll(under, nil, name); err != nil {
			return err
		}
		xattr := "trusted.overlay.opaque"
		if m.userNamespace {
			xattr = "user.overlay.opaque"
		}
		if err := unix.Setxattr(filepath.Join(under, name), xattr, []byte("y"), 0); err != nil {
			return &os.PathError{Op: "make opaque", Path: name, Err: err}
		}
	}
	return nil
}

// makeWhiteout makes the character device 0/0 that overlayfs takes for a
// whiteout; anybody may make this one. Directories above it look like those
// in lower.
func makeWhiteout(layer string, lower []string, name string) error {
	if err := mirrorAll(layer, lower, filepath.Dir(name)); err != nil {
		return err
	}
	err := unix.Mknod(filepath.Join(layer, name), unix.S_IFCHR, 0)
	if err != nil && err != unix.EEXIST {
		return &os.PathError{Op: "whiteout", Path: name, Err: err}
	}
	return nil
}

// mirrorAll is mirror for a directory and all above it.
func mirrorAll(layer string, lower []string, name string) error {
	if err := mirror(layer, lower, "."); err != nil {
		return err
	}
	for i, r := range name {
		if r == '/' {
			if err := mirror(layer, lower, name[:i]); err != nil {
				return err
			}
		}
	}
	return mirror(layer, lower, name)
}
