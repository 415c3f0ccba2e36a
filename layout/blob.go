package layout

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
)

// blobDir is a directory of foreign files, read by names relative to it.
type blobDir struct {
	path   string // absolute
	limits Limits
	reads  int64 // documents read so far
}

// open opens a regular file below the directory. No symlink is followed: a
// layout must not make us read, or wait for, what lies elsewhere.
func (d *blobDir) open(name string) (*os.File, error) {
	dir, err := os.Open(d.path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	fd, err := openat2(int(dir.Fd()), name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, fmt.Errorf("%s: is or lies below a symlink, which a layout may not have", name)
	case errors.Is(err, unix.ENOENT):
		return nil, missing(name)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("%s: not a regular file", name)
	}
	return f, nil
}

// file reads a small file, at most the limit for documents.
func (d *blobDir) file(name string) ([]byte, error) {
	f, err := d.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, d.limits.JSON+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if int64(len(b)) > d.limits.JSON {
		return nil, &LimitError{"JSON", name + ": document is too large", d.limits.JSON}
	}
	return b, nil
}

// blobName is a blob's path in a layout. The digest's syntax was checked when
// the Hash was parsed.
func blobName(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }

// blob opens the blob of a descriptor for verified reading.
func (d *blobDir) blob(digest v1.Hash, size int64) (io.ReadCloser, error) {
	if digest.Hex == "" {
		return nil, errors.New("descriptor without digest")
	}
	h, err := v1.Hasher(digest.Algorithm)
	if err != nil {
		return nil, err
	}
	f, err := d.open(blobName(digest))
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && info.Size() != size {
		f.Close()
		what := "truncated"
		if info.Size() > size {
			what = "too long"
		}
		return nil, fmt.Errorf("%s: blob is %s: %d bytes, its descriptor says %d", blobName(digest), what, info.Size(), size)
	}
	return &verified{r: f, c: f, hash: h, name: blobName(digest), want: digest, size: size}, nil
}

// document reads a blob that is a JSON document.
func (d *blobDir) document(desc v1.Descriptor) ([]byte, error) {
	if d.reads++; d.reads > d.limits.Documents {
		return nil, &LimitError{"Documents", "too many documents", d.limits.Documents}
	}
	if desc.Size < 0 || desc.Size > d.limits.JSON {
		return nil, &LimitError{"JSON", fmt.Sprintf("%s: document of %d bytes is too large", desc.Digest, desc.Size), d.limits.JSON}
	}
	r, err := d.blob(desc.Digest, desc.Size)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// verified reads a file and checks at its end that what was read has the
// wanted size and digest.
type verified struct {
	r    io.Reader
	c    io.Closer
	hash hash.Hash
	name string // for messages
	want v1.Hash
	size int64
	n    int64
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.r.Read(p)
	v.n += int64(n)
	v.hash.Write(p[:n])
	if v.n > v.size {
		return 0, &blobError{fmt.Errorf("%s: blob is longer than the %d bytes of its descriptor", v.name, v.size)}
	}
	if err == nil {
		return n, nil
	}
	if err != io.EOF {
		return n, &blobError{fmt.Errorf("%s: %w", v.name, err)}
	}
	if v.n != v.size {
		return n, &blobError{fmt.Errorf("%s: blob is truncated: %d bytes, its descriptor says %d", v.name, v.n, v.size)}
	}
	if got := hex.EncodeToString(v.hash.Sum(nil)); got != v.want.Hex {
		return n, &blobError{fmt.Errorf("%s: wrong digest: content is %s:%s", v.name, v.want.Algorithm, got)}
	}
	return n, io.EOF
}

// blobError is a fault of a blob as stored, whatever it contains.
type blobError struct{ error }

func (e *blobError) Unwrap() error { return e.error }

func (v *verified) Close() error { return v.c.Close() }
