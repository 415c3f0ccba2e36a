package layout

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// defaultTempDir is where archives are spooled that can't be read where they
// lie. They are large, which /tmp may not be made for.
const defaultTempDir = "/var/tmp"

// compressionOf tells a compression by the first bytes of a stream, as
// decompress does.
func compressionOf(head []byte) string {
	switch {
	case len(head) >= 262 && string(head[257:262]) == tarMagic:
		return ""
	case bytes.HasPrefix(head, gzipMagic):
		return "gzip"
	case isZstd(head):
		return "zstd"
	case bytes.HasPrefix(head, []byte("BZh")):
		return "bzip2"
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		return "xz"
	}
	return ""
}

// spool copies the tar stream in r, compressed or not, to an unlinked file.
func spool(r io.Reader, tempDir string, limits Limits) (f *os.File, size int64, err error) {
	in := &counter{r: r}
	plain, err := decompress(in, new(windows).zstd)
	if err != nil {
		return nil, 0, err
	}
	defer plain.Close()
	f, err = unlinked(tempDir)
	if err != nil {
		return nil, 0, tempError(err)
	}
	size, err = io.CopyBuffer(&spoolWriter{f: f, in: in, limits: limits}, struct{ io.Reader }{plain}, make([]byte, 1<<20))
	var disk *spoolError
	switch {
	case errors.As(err, &disk):
		err = tempError(disk.error)
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("archive is truncated")
	}
	if err != nil {
		return nil, 0, also(err, f.Close())
	}
	return f, size, nil
}

// spoolWriter refuses an archive that grows out of proportion.
type spoolWriter struct {
	f      *os.File
	in     *counter
	n      int64
	limits Limits
}

func (w *spoolWriter) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	w.n += int64(n)
	if err != nil {
		return n, &spoolError{err}
	}
	if most := mostFor(w.in.n, w.limits.Ratio); w.n > most {
		return n, &LimitError{"Ratio", fmt.Sprintf("archive unpacks to more than %d bytes, out of proportion to its size", most), w.limits.Ratio}
	}
	if w.n > w.limits.Size {
		return n, &LimitError{"Size", "archive unpacks to too many bytes", w.limits.Size}
	}
	return n, nil
}

// spoolError is an error of writing, not of reading.
type spoolError struct{ error }

func tempError(err error) error {
	return &hinted{
		fmt.Errorf("a compressed or piped archive needs a temporary file: %w", err),
		"choose a place with room with --cache-dir, or give an uncompressed archive as a file",
	}
}

// unlinked makes a file without a name, which ends with its last descriptor.
func unlinked(dir string) (*os.File, error) {
	if dir == "" {
		dir = defaultTempDir
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if err == nil || !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) {
		return f, err
	}
	f, err = os.CreateTemp(dir, "archive.")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, also(err, f.Close())
	}
	return f, nil
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// openSource opens the archive at path for reading by offset: the file itself
// where that is possible, else a spooled copy. Whatever opens with a path that
// isn't a file or a pipe is refused.
func openSource(path string, o OpenOptions) (content, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode()&(fs.ModeDevice|fs.ModeSocket|fs.ModeDir) != 0 {
		err = errors.New("not a file, pipe or directory")
	}
	if err != nil {
		return nil, 0, also(err, f.Close())
	}
	return seekable(f, o)
}

// openStdin does the same for the caller's stdin, which stays open.
func openStdin(r io.Reader, o OpenOptions) (content, int64, error) {
	if r == nil {
		return nil, 0, fmt.Errorf("there is no stdin: %w", errEmpty)
	}
	std, ok := r.(*os.File)
	if !ok {
		f, size, err := spoolFull(r, o)
		if err != nil {
			return nil, 0, err
		}
		return f, size, nil
	}
	fd, err := unix.FcntlInt(std.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, 0, err
	}
	return seekable(os.NewFile(uintptr(fd), "stdin"), o)
}

// seekable returns f, or, when f isn't an uncompressed file, what it holds,
// and closes f.
func seekable(f *os.File, o OpenOptions) (content, int64, error) {
	c, size, err := seek(f, o)
	if err != nil {
		return nil, 0, also(err, f.Close())
	}
	return c, size, nil
}

func seek(f *os.File, o OpenOptions) (content, int64, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return spoolFile(f, o)
	}
	if at, err := f.Seek(0, io.SeekCurrent); err != nil || at != 0 {
		return nil, 0, errors.New("the file was read from before")
	}
	head := make([]byte, min(info.Size(), 512))
	if _, err := f.ReadAt(head, 0); err != nil {
		return nil, 0, err
	}
	switch {
	case compressionOf(head) != "" && o.TempDir != "":
		return remember(f, info, o)
	case compressionOf(head) != "":
		return spoolFile(f, o)
	}
	return f, info.Size(), checkHead(head)
}

// spoolFile spools what f holds, and closes f unless that fails.
func spoolFile(f *os.File, o OpenOptions) (content, int64, error) {
	spooled, size, err := spoolFull(f, o)
	if err != nil {
		return nil, 0, err
	}
	if err := f.Close(); err != nil {
		return nil, 0, also(err, spooled.Close())
	}
	return spooled, size, nil
}

// spoolFull spools a stream that may turn out to be empty, or no archive.
func spoolFull(r io.Reader, o OpenOptions) (*os.File, int64, error) {
	count := startMeter(o.Progress, Progress{Total: sizeOf(r)})
	defer count.stop()
	br := bufio.NewReaderSize(count.reader(r), 64<<10)
	head, err := br.Peek(512)
	switch {
	case len(head) == 0 && err == io.EOF:
		return nil, 0, errEmpty
	case err != nil && err != io.EOF:
		return nil, 0, err
	}
	if compressionOf(head) == "" {
		if err := checkHead(head); err != nil {
			return nil, 0, err
		}
	}
	return spool(br, o.TempDir, o.Limits)
}

// sizeOf is how much there is to read of r; 0 = not known.
func sizeOf(r io.Reader) int64 {
	if f, ok := r.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			return info.Size()
		}
	}
	return 0
}

// checkHead refuses what is known to be no archive before it is read.
func checkHead(head []byte) error {
	if trimmed := bytes.TrimLeft(head, " \t\r\n"); len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') {
		return &hinted{errors.New("a JSON document, not an archive"), "nix:FILE reads nix2container's image JSON, from a file"}
	}
	switch {
	case len(head) < 512:
		return errNoTar
	case len(bytes.TrimLeft(head, "\x00")) == 0:
		return errNoMembers // and there may be no end to it, as to /dev/zero
	}
	return nil
}
