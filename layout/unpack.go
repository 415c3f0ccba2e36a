package layout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Ownership says whom unpacked files belong to: Caller, Real, or what Mapped
// gives. It is part of what a root filesystem is known by.
type Ownership string

const (
	// Caller is the zero value: all files belong to the caller, owners are
	// ignored, file capabilities are left out.
	Caller Ownership = ""

	// Real gives files the owners the image has, and their capabilities. It
	// needs root.
	Real Ownership = "real"
)

// Skipped is something of an image that the unpacked tree lacks.
type Skipped struct {
	Path string `json:"path"` // in the image, as the entry has it, cleaned
	What string `json:"what"`
	Why  string `json:"why"`
}

// FileOwner is an entry of an image and whom it belongs to there.
type FileOwner struct {
	Path string `json:"path"` // as the archive has it
	UID  int    `json:"uid"`
	GID  int    `json:"gid"`
}

// UnpackOptions say how to unpack.
type UnpackOptions struct {
	Ownership Ownership
	Devices   bool          // make device nodes where the kernel allows it
	OnSkip    func(Skipped) // called for what is left out; may be nil

	// OnOwner, if not nil, is called for the first entry that the image gives
	// to another owner than root, whatever Ownership makes of it.
	OnOwner func(FileOwner)

	Limits Limits

	// Progress, if not nil, is told some ten times a second, from another
	// goroutine but never after Unpack has returned.
	Progress func(Progress)
}

// Unpack applies the layers of img in order (image-spec, layer.md) into dir,
// which must not exist, and its parent must, or be an empty directory. Every
// layer is verified. An image that is directories is copied. On failure all
// that was written is removed.
func Unpack(ctx context.Context, img *Image, dir string, o UnpackOptions) error {
	return destError(unpack(ctx, img, dir, o, nil, nil))
}

// unpack is Unpack, which starts from b, and is recorded by r, if they aren't
// nil.
func unpack(ctx context.Context, img *Image, dir string, o UnpackOptions, b *base, r *recorder) error {
	if err := o.Ownership.check(); err != nil {
		return err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	layers, err := img.toUnpack(ctx, o.Progress)
	if err != nil {
		return err
	}
	err = os.Mkdir(dir, 0o700)
	made := err == nil
	if made {
		err = os.Chmod(dir, 0o700) // whatever the umask
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	info, err := d.Stat()
	if err != nil {
		return err
	}
	if err := checkEmpty(d, info); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	a := newApplier(ctx, int(d.Fd()), o)
	a.base, a.record = b, r
	err = a.apply(layers)
	if err == nil {
		return nil
	}
	if made {
		return also(err, removePath(dir))
	}
	if cerr := d.Chmod(0o700); cerr != nil {
		return also(err, cerr)
	}
	return also(also(err, emptyDir(int(d.Fd()))), d.Chmod(info.Mode()))
}

func checkEmpty(d *os.File, info fs.FileInfo) error {
	if !info.IsDir() {
		return errors.New("not a directory")
	}
	names, err := dirNames(int(d.Fd()))
	if err != nil {
		return err
	}
	if len(names) > 0 {
		return errors.New("directory is not empty")
	}
	return nil
}

// removePath removes a file or directory of ours, see removeTree.
func removePath(path string) error {
	parent, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer parent.Close()
	if err := removeTree(int(parent.Fd()), filepath.Base(path)); err != nil {
		return fmt.Errorf("removing %s: %w", path, err)
	}
	return nil
}
