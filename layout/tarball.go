package layout

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// maxMemberName is the longest name of a member that is kept. The names in an
// image archive are digests.
const maxMemberName = 1024

// tarball is a source: the members of a tar file. They are read where they
// lie, the archive is never extracted.
type tarball struct {
	file    io.ReaderAt // uncompressed
	members map[string]member
	first   string // the first member's name
}

// member is a file or link of an archive.
type member struct {
	offset, size int64
	link         string // not "": the cleaned name of what the link leads to
	fault        string // not "": why the member can't be read
}

// indexArchive finds the members of a tar file in one pass over its headers.
// Of members with one name the last counts, as if they were extracted.
func indexArchive(f io.ReaderAt, size int64, limits Limits) (*tarball, error) {
	a := &tarball{file: f, members: map[string]member{}}
	r := io.NewSectionReader(f, 0, size)
	tr := tar.NewReader(r)
	for n := int64(0); ; n++ {
		hdr, err := tr.Next()
		switch {
		case err == io.EOF:
			return a, nil
		case err != nil && n == 0 && (size < 512 || !errors.Is(err, io.ErrUnexpectedEOF)):
			return nil, errNoTar
		case errors.Is(err, io.ErrUnexpectedEOF):
			return nil, errors.New("archive is truncated")
		case err != nil:
			return nil, fmt.Errorf("archive: after member %s: %w", quote(a.first), foreign(err))
		}
		if n >= limits.Members {
			return nil, &LimitError{"Members", "archive has too many members", limits.Members}
		}
		if n == 0 {
			a.first = hdr.Name
		}
		offset, err := r.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		a.note(hdr, offset)
	}
}

var (
	errNoTar     = errors.New("not a tar archive")
	errEmpty     = errors.New("empty: not a byte of an archive")
	errNoMembers = errors.New("not an image: the archive is empty")
)

// note keeps what is needed to read a member.
func (a *tarball) note(hdr *tar.Header, offset int64) {
	if len(hdr.Name) > maxMemberName || len(hdr.Linkname) > maxMemberName {
		return
	}
	name := memberName(hdr.Name)
	m := member{offset: offset, size: hdr.Size}
	switch hdr.Typeflag {
	case tar.TypeReg:
		for key := range hdr.PAXRecords {
			if strings.HasPrefix(key, "GNU.sparse.") {
				m.fault = "is a sparse file"
			}
		}
	case tar.TypeSymlink:
		// An absolute target is inside the archive, too.
		m.link = memberName(hdr.Linkname)
		if !strings.HasPrefix(hdr.Linkname, "/") {
			m.link = memberName(path.Dir(name) + "/" + hdr.Linkname)
		}
	case tar.TypeLink:
		m.link = memberName(hdr.Linkname)
	case tar.TypeGNUSparse:
		m.fault = "is a sparse file"
	default:
		m.fault = "is not a regular file"
	}
	a.members[name] = m
}

// memberName cleans a name; what climbs out of the archive ends at its root.
func memberName(name string) string {
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}

func (a *tarball) has(name string) bool {
	_, ok := a.members[name]
	return ok
}

// find looks up a member, and what it leads to if it is a link.
func (a *tarball) find(name string) (member, error) {
	at := memberName(name)
	for range maxLinks {
		m, ok := a.members[at]
		switch {
		case !ok && at == memberName(name):
			return m, fmt.Errorf("%s: not in the archive: %w", quote(name), fs.ErrNotExist)
		case !ok:
			return m, fmt.Errorf("%s: links to %s, which is not in the archive", quote(name), quote(at))
		case m.fault != "":
			return m, fmt.Errorf("%s: %s", quote(name), m.fault)
		case m.link == "":
			return m, nil
		}
		at = m.link
	}
	return member{}, fmt.Errorf("%s: too many links, or a cycle of them", quote(name))
}

func (a *tarball) open(name string) (io.ReadCloser, int64, error) {
	m, err := a.find(name)
	if err != nil {
		return nil, 0, err
	}
	return a.reader(m), m.size, nil
}

// reader reads a member, truncation included: what is missing from a file that
// has become shorter is io.ErrUnexpectedEOF.
func (a *tarball) reader(m member) io.ReadCloser {
	return io.NopCloser(&exactly{io.NewSectionReader(a.file, m.offset, m.size), m.size})
}

type exactly struct {
	r    io.Reader
	left int64
}

func (e *exactly) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.left -= int64(n)
	if err == io.EOF && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// compression names how a member is compressed, "" when it isn't.
func (a *tarball) compression(m member) (string, error) {
	head := make([]byte, min(m.size, 512))
	if _, err := io.ReadFull(a.reader(m), head); err != nil {
		return "", err
	}
	return compressionOf(head), nil
}
