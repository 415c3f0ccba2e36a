package layout

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// tarMagic is at byte 257 of a tar stream's first header, in every dialect
// but the oldest.
const tarMagic = "ustar"

var gzipMagic = []byte{0x1f, 0x8b}

// decompress returns the tar stream in r. Content decides how r is read, not
// its media type. What follows the compressed stream is an error. zstd gives the
// decoder of that form.
func decompress(r io.Reader, zstd func(io.Reader) (io.ReadCloser, error)) (io.ReadCloser, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	head, err := br.Peek(512)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case len(head) >= 262 && string(head[257:262]) == tarMagic:
		return io.NopCloser(br), nil
	case bytes.HasPrefix(head, gzipMagic):
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		z.Multistream(false)
		return labelled{"gzip", &members{z, br}, z.Close}, nil
	case isZstd(head):
		z, err := zstd(br)
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		return labelled{"zstd", z, z.Close}, nil
	case bytes.HasPrefix(head, []byte("BZh")):
		return nil, errors.New("compressed with bzip2, which is not supported")
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		return nil, errors.New("compressed with xz, which is not supported")
	}
	return io.NopCloser(br), nil
}

// isZstd recognises a zstd frame and the skippable frames that may precede it
// (RFC 8878, 3.1).
func isZstd(head []byte) bool {
	return bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}) ||
		len(head) >= 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18})
}

// members is what the members of a gzip file hold (RFC 1952, 2.2). The library's
// own way to read them takes a little junk after them for a member cut short.
type members struct {
	z  *gzip.Reader
	br *bufio.Reader
}

func (m *members) Read(p []byte) (n int, err error) {
	for n == 0 && err == nil {
		n, err = m.z.Read(p)
		if err == io.EOF {
			err = m.next()
		}
	}
	return n, err
}

// next goes on with the next member; io.EOF says that there is none.
func (m *members) next() error {
	head, err := m.br.Peek(len(gzipMagic))
	switch {
	case len(head) == 0:
		return err
	case !bytes.HasPrefix(gzipMagic, head):
		return errors.New("junk after the compressed stream")
	}
	if err := m.z.Reset(m.br); err != nil {
		return err
	}
	m.z.Multistream(false)
	return nil
}

// labelled names the compression in errors.
type labelled struct {
	name  string
	r     io.Reader
	close func() error
}

func (l labelled) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	var blob *blobError
	if err == nil || err == io.EOF || errors.As(err, &blob) || strings.HasPrefix(err.Error(), l.name+": ") {
		return n, err
	}
	return n, fmt.Errorf("%s: %w", l.name, err)
}

func (l labelled) Close() error { return l.close() }
