package layout

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"
)

// create makes an entry at parent/base; whatever was there goes first, except
// that a directory over a directory is merged.
func (a *applier) create(parent *dir, base, name string, hdr *tar.Header, m meta, content io.Reader) error {
	switch hdr.Typeflag {
	case tar.TypeDir:
		return a.directory(parent, base, name, hdr, m)
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		return a.regular(parent, base, name, hdr, m, content)
	case tar.TypeSymlink:
		return a.symlink(parent, base, hdr.Linkname, m)
	case tar.TypeLink:
		return a.hardLink(parent, base, name, hdr.Linkname)
	case tar.TypeFifo:
		return a.node(parent, base, unix.S_IFIFO, 0, m)
	case tar.TypeChar, tar.TypeBlock:
		return a.device(parent, base, name, hdr, m)
	}
	return fmt.Errorf("unsupported type %q", hdr.Typeflag)
}

func (a *applier) symlink(parent *dir, base, target string, m meta) error {
	if target == "" {
		return errors.New("a symlink without a target")
	}
	err := a.replace(parent, base, func(fd int) error {
		if err := unix.Symlinkat(target, fd, base); err != nil {
			return err
		}
		return a.settle(fd, base, m)
	})
	if err == nil {
		a.record.symlink(parent, base, m, target)
	}
	return err
}

// replace makes a non-directory at parent/base by calling make, which must
// fail with EEXIST if anything is there.
func (a *applier) replace(parent *dir, base string, make func(dirfd int) error) error {
	fd, err := a.handle(parent)
	if err != nil {
		return err
	}
	err = make(fd)
	if errors.Is(err, unix.EEXIST) {
		if err := a.remove(parent, base); err != nil {
			return err
		}
		if fd, err = a.handle(parent); err != nil {
			return err
		}
		err = make(fd)
	}
	if err != nil {
		return err
	}
	a.mark(parent, base)
	delete(a.skipped, place{parent, base})
	return nil
}

func (a *applier) directory(parent *dir, base, name string, hdr *tar.Header, m meta) error {
	d := parent.children[base]
	if d == nil {
		var err error
		d, err = a.mkdir(parent, base)
		if errors.Is(err, unix.EEXIST) {
			if err := a.remove(parent, base); err != nil {
				return err
			}
			d, err = a.mkdir(parent, base)
		}
		if err != nil {
			return err
		}
	}
	return a.list(d, m, a.xattrsOf(hdr, name))
}

func (a *applier) regular(parent *dir, base, name string, hdr *tar.Header, m meta, content io.Reader) error {
	if isSparse(hdr) {
		if hdr.Size > a.o.Limits.Sparse-a.sparse {
			return &LimitError{"Sparse", fmt.Sprintf("sparse file claims %d bytes", hdr.Size), a.o.Limits.Sparse}
		}
		a.sparse += hdr.Size
	}
	var made written
	err := a.replace(parent, base, func(dirfd int) (err error) {
		made, err = a.writeFile(dirfd, base, name, hdr, m, content)
		return err
	})
	if err == nil {
		a.record.file(parent, base, m, made.size, made.sum, made.xattrs)
	}
	return err
}

// written is what became of a file's content.
type written struct {
	size   int64
	sum    uint32 // see checksum
	xattrs []xattr
}

// writeFile makes a file with all its metadata.
func (a *applier) writeFile(dirfd int, base, name string, hdr *tar.Header, m meta, content io.Reader) (w written, err error) {
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	attrs := a.xattrsOf(hdr, name)
	// A mode that survives open needs no chmod. Set-id bits don't survive
	// chown, and who may not write a file can't give it attributes.
	mode := uint32(0o600)
	if m.mode&^0o777 == 0 && m.mode&a.umask == 0 && len(attrs) == 0 {
		mode = m.mode
	}
	fd, err := openat(dirfd, base, flags, mode)
	if err != nil {
		return w, err
	}
	if isSparse(hdr) {
		err = a.writeSparse(fd, hdr.Size, content, &w)
	} else {
		err = a.write(fd, content, &w)
	}
	if err == nil {
		err = a.settle(dirfd, base, m)
	}
	if err == nil {
		// After chown, which clears capabilities; before the mode, which may
		// forbid it.
		w.xattrs = a.setXattrs(fd, name, attrs)
		if mode != m.mode {
			err = unix.Fchmod(fd, m.mode)
		}
	}
	return w, also(err, unix.Close(fd))
}

// counted adds what was read of a file to w.
func (a *applier) counted(w *written, p []byte) {
	w.size += int64(len(p))
	if a.record != nil {
		w.sum = checksum(w.sum, p)
	}
}

// write copies content. Nothing is allocated by the size a header claims.
func (a *applier) write(fd int, content io.Reader, w *written) error {
	for {
		n, err := content.Read(a.buf)
		if werr := writeAll(fd, a.buf[:n]); werr != nil {
			return werr
		}
		a.counted(w, a.buf[:n])
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return &contentError{err}
		}
	}
}

func isSparse(hdr *tar.Header) bool {
	if hdr.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range hdr.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// writeSparse copies content, leaving out blocks of zeros.
func (a *applier) writeSparse(fd int, size int64, content io.Reader, w *written) error {
	const block = 4096
	var zeros [block]byte
	// A size the file system can't hold shows before it is read.
	if err := unix.Ftruncate(fd, size); err != nil {
		return err
	}
	var at int64
	for {
		if err := a.ctx.Err(); err != nil {
			return err
		}
		n, err := fill(content, a.buf)
		a.counted(w, a.buf[:n])
		for p := a.buf[:n]; len(p) > 0; {
			b := p[:min(block, len(p))]
			p = p[len(b):]
			if !bytes.Equal(b, zeros[:len(b)]) {
				if _, err := unix.Seek(fd, at, unix.SEEK_SET); err != nil {
					return err
				}
				if err := writeAll(fd, b); err != nil {
					return err
				}
			}
			at += int64(len(b))
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return &contentError{err}
		}
	}
}

// hardLink makes another name of an entry. The header's metadata is ignored:
// it would change the other names too.
func (a *applier) hardLink(parent *dir, base, name, target string) error {
	clean, err := cleanName(target)
	if err != nil {
		return fmt.Errorf("hard link to %s: %w", quote(target), err)
	}
	to, at, ok, err := a.linkTarget(clean)
	if err != nil {
		return fmt.Errorf("hard link to %s: %w", quote(target), err)
	}
	if ok && a.skipped[place{to, at}] {
		return a.leaveOut(parent, base, name, "hard link to a device node", "its target was not made")
	}
	if !ok {
		return fmt.Errorf("hard link to %s: no such file in this or a lower layer", quote(target))
	}
	if to == parent && at == base {
		a.mark(parent, base)
		return nil
	}
	err = a.replace(parent, base, func(fd int) error {
		// A handle of its own: making room may have closed it.
		from, err := a.handle(to)
		if err != nil {
			return err
		}
		return unix.Linkat(from, at, fd, base, 0)
	})
	if err != nil {
		return fmt.Errorf("hard link to %s: %w", quote(target), err)
	}
	a.record.link(parent, base, to, at)
	return nil
}

// linkTarget finds what a hard link points to: parents resolved in the root,
// the last component not followed. A left-out device counts as found.
func (a *applier) linkTarget(path string) (d *dir, name string, ok bool, err error) {
	if path == "" {
		return nil, "", false, errors.New("a directory can't be linked")
	}
	parentPath, name := splitPath(path)
	d, err = a.walk(parentPath, false)
	if err != nil || d == nil {
		return nil, "", false, err
	}
	if d.children[name] != nil {
		return nil, "", false, errors.New("a directory can't be linked")
	}
	fd, err := a.handle(d)
	if err != nil {
		return nil, "", false, err
	}
	if _, err = lstatKind(fd, name); errors.Is(err, unix.ENOENT) {
		return d, name, a.skipped[place{d, name}], nil
	}
	return d, name, err == nil, err
}

// splitPath splits a clean relative path before its last component.
func splitPath(path string) (parent, base string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}
