package layout

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// toUnpack returns the layers that amount to the image: its own, or its
// directories as layers. tell, which may be nil, is told of reading these.
func (i *Image) toUnpack(ctx context.Context, tell func(Progress)) ([]Layer, error) {
	if i.compose != nil {
		layers, parts, err := i.compose(ctx)
		i.parts = parts
		return layers, err
	}
	if i.Dirs == nil {
		return i.Layers, nil
	}
	count := startMeter(tell, Progress{Step: Hashing, Part: 1, Parts: len(i.Dirs)})
	defer count.stop()
	var layers []Layer
	for n, dir := range i.Dirs {
		count.begin(n + 1)
		l, err := dirLayer(ctx, dir, dirRules{whiteouts: i.layered}, count)
		if err != nil {
			return nil, err
		}
		layers = append(layers, l)
	}
	return layers, nil
}

// dirRules say how a directory becomes a layer.
type dirRules struct {
	whiteouts bool       // it is a layer, with whiteouts
	when      *time.Time // of every file; nil = each its own
	caller    int        // whose files become root's
}

// dirLayer makes a layer of a directory. The directory is read once to know
// the digest, and again by who opens the layer: what has changed in between
// fails there. count is written what the first reading gives.
func dirLayer(ctx context.Context, dir string, rules dirRules, count io.Writer) (Layer, error) {
	h := sha256.New()
	var n tally
	if err := writeDir(ctx, io.MultiWriter(h, &n, count), dir, rules); err != nil {
		return Layer{}, err
	}
	digest := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
	return Layer{
		MediaType: ispec.MediaTypeImageLayer, Digest: digest, DiffID: digest, Size: int64(n),
		open: func() (io.ReadCloser, error) {
			r, w := io.Pipe()
			go func() { w.CloseWithError(writeDir(ctx, w, dir, rules)) }()
			return r, nil
		},
	}, nil
}

// tally counts what is written to it.
type tally int64

func (t *tally) Write(p []byte) (int, error) {
	*t += tally(len(p))
	return len(p), nil
}

// dirWriter writes a directory as a tar stream, its whiteouts in the
// image-spec's form.
type dirWriter struct {
	*tar.Writer
	links map[[2]uint64]string // names of files with several links, by device and inode
	rules dirRules
	seen  *DirWhiteouts
}

func writeDir(ctx context.Context, out io.Writer, root string, rules dirRules) error {
	w := &dirWriter{
		Writer: tar.NewWriter(&cancelledWriter{ctx, out}),
		links:  map[[2]uint64]string{},
		rules:  rules,
		seen:   newDirWhiteouts(),
	}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err = w.entry(file, nameBelow(root, file), d)
		var named *fs.PathError
		if err == nil || err == fs.SkipDir || errors.As(err, &named) {
			return err
		}
		return fmt.Errorf("%s: %w", file, err)
	})
	if err != nil {
		return err
	}
	return w.Close()
}

// entry writes one file, directory or whiteout.
func (w *dirWriter) entry(file, name string, d fs.DirEntry) error {
	dir, base := path.Split(name)
	if !w.rules.whiteouts {
		if strings.HasPrefix(base, whiteoutPrefix) {
			return errors.New("has a whiteout's name, which only a layer's files may have")
		}
		return w.plain(file, name, d)
	}
	marked, err := w.seen.note(file, name, d)
	if err != nil {
		return err
	}
	if marked {
		if !strings.HasPrefix(base, whiteoutPrefix) {
			base = whiteoutPrefix + base
		}
		if err := w.marker(dir + base); err != nil || !d.IsDir() {
			return err
		}
		return fs.SkipDir
	}
	if err := w.plain(file, name, d); err != nil {
		return err
	}
	if n := len(w.seen.Opaque); n > 0 && d.IsDir() && w.seen.Opaque[n-1] == name {
		return w.marker(path.Join(name, opaqueName))
	}
	return nil
}

func (w *dirWriter) marker(name string) error {
	hdr := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Format: tar.FormatPAX}
	if w.rules.when != nil {
		hdr.ModTime = *w.rules.when
	}
	return w.WriteHeader(hdr)
}

// plain writes what isn't a whiteout. Sockets have no place in an archive.
func (w *dirWriter) plain(file, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	st := info.Sys().(*syscall.Stat_t)
	hdr := &tar.Header{
		Name: name, Mode: int64(st.Mode & 0o7777), Uid: int(st.Uid), Gid: int(st.Gid),
		ModTime: info.ModTime(), Format: tar.FormatPAX,
	}
	if w.rules.when != nil {
		hdr.ModTime = *w.rules.when
		if hdr.Uid == w.rules.caller {
			hdr.Uid, hdr.Gid = 0, 0
		}
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		hdr.Typeflag, hdr.Name = tar.TypeDir, name+"/"
	case unix.S_IFLNK:
		hdr.Typeflag = tar.TypeSymlink
		if hdr.Linkname, err = os.Readlink(file); err != nil {
			return err
		}
	case unix.S_IFREG:
		hdr.Typeflag, hdr.Size = tar.TypeReg, info.Size()
	case unix.S_IFIFO:
		hdr.Typeflag = tar.TypeFifo
	case unix.S_IFCHR, unix.S_IFBLK:
		hdr.Typeflag = tar.TypeChar
		if st.Mode&unix.S_IFMT == unix.S_IFBLK {
			hdr.Typeflag = tar.TypeBlock
		}
		hdr.Devmajor, hdr.Devminor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	default:
		return nil
	}
	if !d.IsDir() && st.Nlink > 1 {
		id := [2]uint64{st.Dev, st.Ino}
		if first, ok := w.links[id]; ok {
			hdr.Typeflag, hdr.Linkname, hdr.Size = tar.TypeLink, first, 0
			return w.WriteHeader(hdr)
		}
		w.links[id] = name
	}
	if hdr.PAXRecords, err = xattrRecords(file); err != nil {
		return err
	}
	if err := w.WriteHeader(hdr); err != nil || hdr.Typeflag != tar.TypeReg {
		return err
	}
	return w.content(file, hdr.Size)
}

func (w *dirWriter) content(file string, size int64) error {
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.CopyN(w, f, size); err != nil {
		if err == io.EOF {
			return errors.New("became shorter while it was read")
		}
		return err
	}
	return nil
}

// xattrRecords returns the PAX records of a file's xattrs. Those of overlayfs
// are about a mount, not about the file, unless they say that it is not all here.
func xattrRecords(file string) (map[string]string, error) {
	names, err := xattrCall(func(buf []byte) (int, error) { return unix.Llistxattr(file, buf) })
	if errors.Is(err, unix.EOPNOTSUPP) || len(names) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list := strings.Split(strings.TrimSuffix(string(names), "\x00"), "\x00")
	if hasOverlayXattr(list, metacopy) {
		return nil, errMetacopy
	}
	records := map[string]string{}
	for _, name := range list {
		if strings.HasPrefix(name, "user.overlay.") || strings.HasPrefix(name, "trusted.overlay.") || strings.Contains(name, "=") {
			continue
		}
		value, err := xattrCall(func(buf []byte) (int, error) { return unix.Lgetxattr(file, name, buf) })
		if err == nil {
			records["SCHILY.xattr."+name] = string(value)
		} else if !errors.Is(err, unix.ENODATA) {
			return nil, err
		}
	}
	return records, nil
}

// xattrCall calls a system call that wants a buffer of unknown size.
func xattrCall(call func([]byte) (int, error)) ([]byte, error) {
	for size := 256; ; size *= 4 {
		buf := make([]byte, size)
		n, err := call(buf)
		if err == unix.ERANGE && size < 1<<20 {
			continue
		}
		return buf[:max(n, 0)], err
	}
}
