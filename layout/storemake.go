package layout

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// make unpacks the root beside its place and renames it there. The exclusive
// lock is held.
func (c *cached) make(ctx context.Context) (err error) {
	if err := c.makeDirs(); err != nil {
		return err
	}
	if err := c.clear(c.key); err != nil {
		return cacheError(err)
	}
	tmp, err := os.MkdirTemp(filepath.Join(c.dir, "tmp"), c.key+".")
	if err != nil {
		return cacheError(err)
	}
	defer func() {
		if err != nil {
			err = also(err, removePath(tmp))
		}
	}()
	meta, err := c.unpack(ctx, tmp)
	if err != nil {
		return spaceError(err)
	}
	if err := meta.write(tmp); err != nil {
		return spaceError(cacheError(err))
	}
	if err := settled(tmp); err != nil {
		return spaceError(cacheError(err))
	}
	// What is there without a readable meta.json is no root of ours.
	if err := removePath(c.root()); err != nil {
		return cacheError(err)
	}
	return cacheError(os.Rename(tmp, c.root()))
}

// settled returns when all that was written is on the disk. Without it a
// machine that stops could come up with the rename done and the files empty,
// which no start would notice. One call for the file system costs a fraction of
// what a call for each file does, and tells of write errors so far unnoticed.
func settled(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = unix.Syncfs(int(f.Fd()))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return &os.PathError{Op: "sync", Path: dir, Err: err}
	}
	return nil
}

// unpack unpacks the image into dir, from another root if one shares layers
// with it, and records what it does.
func (c *cached) unpack(ctx context.Context, dir string) (*rootMeta, error) {
	b := c.base()
	defer b.close()
	meta, err := c.unpackFrom(ctx, dir, b)
	var share *shareError
	if b == nil || !errors.As(err, &share) {
		return meta, err
	}
	for _, name := range []string{rootfsName, lowerName, recordName} {
		if err := removePath(filepath.Join(dir, name)); err != nil {
			return nil, cacheError(err)
		}
	}
	return c.unpackFrom(ctx, dir, nil)
}

func (c *cached) unpackFrom(ctx context.Context, dir string, b *base) (*rootMeta, error) {
	meta := newMeta(c.img, c.store.Ownership)
	if b != nil {
		meta.Base, meta.Owner = b.layers, b.meta.Owner
	}
	record, err := newRecorder(dir)
	if err != nil {
		return nil, cacheError(err)
	}
	o := c.store.options()
	o.OnSkip, o.OnOwner = meta.skip, meta.owner
	err = unpack(ctx, c.img, filepath.Join(dir, rootfsName), o, b, record)
	sum, cerr := record.close()
	if err != nil {
		return nil, err
	}
	meta.Record, meta.Files, meta.Parts = sum, record.files, c.img.parts
	return meta, cacheError(cerr)
}

func (s *Store) options() UnpackOptions {
	return UnpackOptions{Ownership: s.Ownership, Limits: s.Limits, Progress: s.Progress}
}
