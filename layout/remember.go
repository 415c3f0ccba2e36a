package layout

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// content is an archive's uncompressed bytes.
type content interface {
	io.ReaderAt
	io.Closer
}

const (
	rememberDir   = "archives"
	rememberMagic = "oci2bwrap archive 1\n"
	rememberMost  = 8 << 20 // bytes of a compressed archive
	rememberReads = 20_000  // pieces of it
	rememberFor   = 30 * 24 * time.Hour
	rememberAge   = time.Second // a younger file may change unnoticed
)

// remembered is a compressed archive, of which a file in the cache has what
// was read to open an image. To open it again decompresses nothing; what
// wasn't read then, such as layers, makes it be spooled.
type remembered struct {
	path string // of the file in the cache
	o    OpenOptions

	mu     sync.Mutex
	source *os.File // the archive
	size   int64
	pieces map[int64][]byte // by offset
	bytes  int
	saved  bool     // pieces are as in the cache, or not to be saved
	file   *os.File // spooled; nil = not yet
}

// remember returns the content of the compressed archive f, which it takes
// over unless it fails.
func remember(f *os.File, info fs.FileInfo, o OpenOptions) (content, int64, error) {
	st := info.Sys().(*syscall.Stat_t)
	id := sha256.Sum256(fmt.Appendf(nil, "%d %d %d %v %v", st.Dev, st.Ino, st.Size, st.Mtim, st.Ctim))
	r := &remembered{
		path:   filepath.Join(o.TempDir, rememberDir, hex.EncodeToString(id[:])),
		o:      o,
		source: f,
		pieces: map[int64][]byte{},
		saved:  time.Since(time.Unix(st.Ctim.Unix())) < rememberAge,
	}
	if r.load() {
		return r, r.size, nil
	}
	clear(r.pieces)
	var err error
	if r.file, r.size, err = spoolFull(f, o); err != nil {
		return nil, 0, err
	}
	return r, r.size, nil
}

func (r *remembered) ReadAt(p []byte, off int64) (int, error) {
	b, file, err := r.find(off, len(p))
	if err != nil || b != nil {
		return copy(p, b), err
	}
	n, err := file.ReadAt(p, off)
	if err == nil {
		r.note(p, off)
	}
	return n, err
}

// find returns n bytes that are remembered, or else the spooled file.
func (r *remembered) find(off int64, n int) ([]byte, *os.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.pieces[off]; b != nil && len(b) >= n {
		return b[:n], nil, nil
	}
	if r.file != nil {
		return nil, r.file, nil
	}
	f, size, err := spoolFull(r.source, r.o)
	if err == nil && size != r.size {
		err = also(errors.New("the archive has changed"), f.Close())
	}
	if err != nil {
		return nil, nil, err
	}
	r.file = f
	return nil, f, nil
}

// note keeps what was read, unless it becomes too much.
func (r *remembered) note(p []byte, off int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.saved {
		return
	}
	if r.bytes += len(p); r.bytes > rememberMost || len(r.pieces) >= rememberReads {
		r.pieces, r.saved = nil, true
		return
	}
	r.pieces[off] = bytes.Clone(p)
}

func (r *remembered) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.source.Close()
	if r.file != nil {
		err = also(err, r.file.Close())
	}
	return err
}

// load reads what is remembered, if anything is.
func (r *remembered) load() bool {
	f, err := os.Open(r.path)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() > 2*rememberMost {
		return false
	}
	// Whoever owns the file can change what the image is.
	if st := info.Sys().(*syscall.Stat_t); st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return false
	}
	b, err := io.ReadAll(f)
	if err != nil || len(b) < sha256.Size {
		return false
	}
	b, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if have := sha256.Sum256(b); !bytes.Equal(have[:], sum) {
		return false // written when the machine stopped
	}
	b, ok := bytes.CutPrefix(b, []byte(rememberMagic))
	if !ok || len(b) < 8 {
		return false
	}
	r.size = int64(binary.LittleEndian.Uint64(b))
	for b = b[8:]; len(b) >= 16; {
		off, n := int64(binary.LittleEndian.Uint64(b)), binary.LittleEndian.Uint64(b[8:])
		if b = b[16:]; n > uint64(len(b)) {
			return false
		}
		r.pieces[off], b = b[:n:n], b[n:]
	}
	r.saved = true
	return len(b) == 0
}

// save remembers what was read so far, and no more. It is a convenience: that
// the cache can't be written to is no error.
func (r *remembered) save() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.saved {
		return
	}
	r.saved = true
	b := binary.LittleEndian.AppendUint64([]byte(rememberMagic), uint64(r.size))
	for _, off := range slices.Sorted(maps.Keys(r.pieces)) {
		p := r.pieces[off]
		b = binary.LittleEndian.AppendUint64(b, uint64(off))
		b = binary.LittleEndian.AppendUint64(b, uint64(len(p)))
		b = append(b, p...)
	}
	sum := sha256.Sum256(b)
	dir := filepath.Dir(r.path)
	if os.MkdirAll(dir, 0o700) != nil {
		return
	}
	forget(dir, rememberFor)
	f, err := os.CreateTemp(dir, "new.")
	if err != nil {
		return
	}
	_, err = f.Write(append(b, sum[:]...))
	if cmp.Or(err, f.Close()) != nil || os.Rename(f.Name(), r.path) != nil {
		_ = os.Remove(f.Name())
	}
}

// forget removes what was noted longer ago than age, as of archives that are gone
// or were replaced.
func forget(dir string, age time.Duration) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > age {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
