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

// source is where the files of an image lie.
type source interface {
	// open opens a regular file by its slash-separated name. An error that it
	// isn't there is fs.ErrNotExist.
	open(name string) (r io.ReadCloser, size int64, err error)
}

// blobs reads the documents and blobs of a source.
type blobs struct {
	source
	limits Limits
	place  func(v1.Descriptor) string // where a blob lies; nil = as in an OCI layout
	reads  int64                      // documents read so far
}

// directory is a source: a directory of foreign files.
type directory string // absolute

// open follows no symlink: an image must not make us read, or wait for, what
// lies elsewhere.
func (d directory) open(name string) (r io.ReadCloser, size int64, err error) {
	var dir int
	err = retry(func() (err error) {
		dir, err = unix.Open(string(d), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, 0, &os.PathError{Op: "open", Path: string(d), Err: err}
	}
	defer unix.Close(dir)
	fd, err := openat2(dir, name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY,
		Resolve: resolveNoLinks,
	})
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, 0, fmt.Errorf("%s: is or lies below a symlink, which an image may not have", name)
	case err != nil:
		return nil, 0, fmt.Errorf("%s: %w", name, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		return nil, 0, fmt.Errorf("%s: not a regular file", name)
	}
	return blobFile(fd), st.Size, nil
}

// blobFile is the descriptor of a regular file. An os.File would register with
// the poller, which costs more than reading a small document.
type blobFile int

func (f blobFile) Read(p []byte) (n int, err error) {
	err = retry(func() error {
		n, err = unix.Read(int(f), p)
		return err
	})
	if err == nil && n == 0 && len(p) > 0 {
		err = io.EOF
	}
	return max(n, 0), err
}

func (f blobFile) Close() error { return unix.Close(int(f)) }

// file reads a small file, at most the limit for documents.
func (d *blobs) file(name string) ([]byte, error) {
	f, size, err := d.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > d.limits.JSON {
		return nil, &LimitError{"JSON", name + ": document is too large", d.limits.JSON}
	}
	b, err := readSized(f, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

// readSized reads to the end of a file that is size bytes long, or was.
func readSized(r io.Reader, size int64) ([]byte, error) {
	b := make([]byte, size+1)
	n, err := fill(r, b)
	if err == nil {
		return nil, errors.New("grew while it was read")
	}
	if err != io.EOF {
		return nil, err
	}
	return b[:n], nil
}

// blobName is a blob's path in a layout. The digest's syntax was checked when
// the Hash was parsed.
func blobName(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }

// blob opens the blob of a descriptor for verified reading.
func (d *blobs) blob(desc v1.Descriptor) (io.ReadCloser, error) {
	if desc.Digest.Hex == "" {
		return nil, errors.New("descriptor without digest")
	}
	h, err := v1.Hasher(desc.Digest.Algorithm)
	if err != nil {
		return nil, err
	}
	name := blobName(desc.Digest)
	if d.place != nil {
		name = d.place(desc)
	}
	f, have, err := d.open(name)
	if err != nil {
		return nil, err
	}
	if have != desc.Size {
		f.Close()
		what := "truncated"
		if have > desc.Size {
			what = "too long"
		}
		return nil, fmt.Errorf("%s: blob is %s: %d bytes, its descriptor says %d", name, what, have, desc.Size)
	}
	return &verified{r: f, c: f, hash: h, name: name, want: desc.Digest, size: desc.Size}, nil
}

// document reads a blob that is a JSON document.
func (d *blobs) document(desc v1.Descriptor) ([]byte, error) {
	if d.reads++; d.reads > d.limits.Documents {
		return nil, &LimitError{"Documents", "too many documents", d.limits.Documents}
	}
	if desc.Size < 0 || desc.Size > d.limits.JSON {
		return nil, &LimitError{"JSON", fmt.Sprintf("%s: document of %d bytes is too large", desc.Digest, desc.Size), d.limits.JSON}
	}
	r, err := d.blob(desc)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readSized(r, desc.Size)
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
