package layout

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A record is the list of what was done to make a root, in order: what was
// made, with all its metadata and a checksum of its content, and what was
// removed. Replayed to its end it says what the root consists of, and up to
// the end of a layer what that of a shorter image does. It is written while
// unpacking, when contents pass by anyway. The checksum is CRC-32C, which
// costs nothing beside SHA-256: it finds damage, and whoever would forge a
// content may write the record as well.
const (
	recordName = "record"
	lowerName  = "lower" // files of lower layers that upper ones removed
)

// Kinds of what a record consists of: a byte, then its fields.
const (
	recLayers  = 'L' // count: so many layers are applied
	recIn      = 'I' // path: names below are in this directory
	recDir     = 'D' // name, meta, xattrs: a new directory, or new metadata; "." is the one of recIn
	recFile    = 'F' // name, meta, size, checksum, xattrs
	recSymlink = 'S' // name, meta, target
	recNode    = 'N' // name, meta, type, device: fifo or device node
	recLink    = 'H' // name, path: another name of a file that isn't a directory
	recRemove  = 'R' // name, number: removed to that name in lower, or with 0 for good
	recAbsent  = 'A' // name: an entry that was left out
	recSkip    = 'K' // path, what, why: a Skipped
)

// recorder writes a record. A nil one does nothing.
type recorder struct {
	f       *os.File
	w       *bufio.Writer
	hash    hash.Hash
	lower   int  // descriptor of the directory lower
	in      *dir // of the last recIn
	removed uint64
	buf     []byte
	err     error
	files   int64
}

// newRecorder starts the record of a root in its directory of the cache.
func newRecorder(dir string) (*recorder, error) {
	if err := os.Mkdir(filepath.Join(dir, lowerName), 0o700); err != nil {
		return nil, err
	}
	lower, err := unix.Open(filepath.Join(dir, lowerName), unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: filepath.Join(dir, lowerName), Err: err}
	}
	f, err := os.OpenFile(filepath.Join(dir, recordName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		unix.Close(lower)
		return nil, err
	}
	return &recorder{f: f, w: bufio.NewWriterSize(f, 64<<10), hash: sha256.New(), lower: lower}, nil
}

// close ends the record and returns its digest.
func (r *recorder) close() (sum string, err error) {
	unix.Close(r.lower)
	err = r.err
	if err == nil {
		err = r.w.Flush()
	}
	return hex.EncodeToString(r.hash.Sum(nil)), also(err, r.f.Close())
}

func (r *recorder) flush() {
	if r.err == nil {
		r.hash.Write(r.buf)
		_, r.err = r.w.Write(r.buf)
	}
}

func (r *recorder) start(kind byte) { r.buf = append(r.buf[:0], kind) }
func (r *recorder) number(n uint64) { r.buf = binary.AppendUvarint(r.buf, n) }

func (r *recorder) text(s string) {
	r.number(uint64(len(s)))
	r.buf = append(r.buf, s...)
}

func (r *recorder) meta(m meta) {
	r.number(uint64(m.mode))
	r.number(uint64(m.uid))
	r.number(uint64(m.gid))
	r.buf = binary.AppendVarint(r.buf, m.mtime.Sec)
	r.number(uint64(m.mtime.Nsec))
}

func (r *recorder) xattrs(attrs []xattr) {
	r.number(uint64(len(attrs)))
	for _, x := range attrs {
		r.text(x.name)
		r.text(string(x.value))
	}
}

// entry starts the record of what is at a name.
func (r *recorder) entry(kind byte, d *dir, name string) {
	if r.in != d {
		r.start(recIn)
		r.text(d.path())
		r.flush()
		r.in = d
	}
	r.start(kind)
	r.text(name)
}

func (r *recorder) layers(n int) {
	if r != nil {
		r.start(recLayers)
		r.number(uint64(n))
		r.flush()
	}
}

// dir records a directory as it is now.
func (r *recorder) dir(d *dir) {
	if r == nil {
		return
	}
	if d.parent == nil {
		r.entry(recDir, d, ".")
	} else {
		r.entry(recDir, d.parent, d.name)
	}
	r.meta(d.meta)
	r.xattrs(d.xattrs)
	r.flush()
}

func (r *recorder) file(d *dir, name string, m meta, size int64, sum uint32, attrs []xattr) {
	if r == nil {
		return
	}
	r.files++
	r.entry(recFile, d, name)
	r.meta(m)
	r.number(uint64(size))
	r.number(uint64(sum))
	r.xattrs(attrs)
	r.flush()
}

func (r *recorder) symlink(d *dir, name string, m meta, target string) {
	if r == nil {
		return
	}
	r.entry(recSymlink, d, name)
	r.meta(m)
	r.text(target)
	r.flush()
}

func (r *recorder) node(d *dir, name string, m meta, kind uint32, dev uint64) {
	if r == nil {
		return
	}
	r.entry(recNode, d, name)
	r.meta(m)
	r.number(uint64(kind))
	r.number(dev)
	r.flush()
}

func (r *recorder) link(d *dir, name string, to *dir, at string) {
	if r == nil {
		return
	}
	r.entry(recLink, d, name)
	r.text(childPath(to, at))
	r.flush()
}

func (r *recorder) remove(d *dir, name string, number uint64) {
	if r == nil {
		return
	}
	// What is removed may be, or hold, the directory of the last recIn.
	r.entry(recRemove, d, name)
	r.number(number)
	r.flush()
}

func (r *recorder) absent(d *dir, name string) {
	if r != nil {
		r.entry(recAbsent, d, name)
		r.flush()
	}
}

func (r *recorder) skip(s Skipped) {
	if r != nil {
		r.start(recSkip)
		r.text(s.Path)
		r.text(s.What)
		r.text(s.Why)
		r.flush()
	}
}

// keep moves what is at a name to the directory lower, where a root that
// shares the lower layers finds it.
func (r *recorder) keep(dirfd int, d *dir, name string) error {
	r.removed++
	to := lowerEntry(r.removed)
	err := retry(func() error { return unix.Renameat(dirfd, name, r.lower, to) })
	if err != nil {
		return err
	}
	r.remove(d, name, r.removed)
	return nil
}

// checksum adds p to that of a file's content so far.
func checksum(sum uint32, p []byte) uint32 {
	return crc32.Update(sum, crc32.MakeTable(crc32.Castagnoli), p)
}
