package layout

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const (
	spillMost  = 512 << 20 // of a layer
	spillSpare = 2 << 30   // what the file system has left for the root itself
)

// spill keeps what was decompressed of a layer ahead of its turn and has no place
// in memory, in an unnamed file of the directory dirFD: it is gone with the
// process. Where it can't be kept the layer waits for its turn.
type spill struct {
	dirFD       int
	most, spare int64
	f           *os.File // nil before the first write
	end         int64
	failed      bool
}

func newSpill(dirFD int) *spill { return &spill{dirFD: dirFD, most: spillMost, spare: spillSpare} }

// room reports whether a chunk should be kept.
func (s *spill) room() bool {
	if s.failed || s.end+chunkSize > s.most {
		return false
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(s.dirFD, &st); err != nil {
		return false
	}
	free := uint64(s.spare+chunkSize) / uint64(max(1, st.Bsize))
	return st.Bavail > free
}

// write keeps b and returns where, or reports that it can't.
func (s *spill) write(b []byte) (at int64, ok bool) {
	if s.f == nil {
		fd, err := openat(s.dirFD, ".", unix.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC, 0o600)
		if err != nil {
			s.failed = true
			return 0, false
		}
		s.f = os.NewFile(uintptr(fd), "spill")
	}
	if _, err := s.f.WriteAt(b, s.end); err != nil {
		s.failed = true
		return 0, false
	}
	at = s.end
	s.end += int64(len(b))
	return at, true
}

// spillError is an error of reading a spill. It says nothing of the layer, and
// the stages before it have not ended.
type spillError struct{ err error }

func (e *spillError) Error() string {
	return fmt.Sprintf("reading back what was decompressed ahead: %v", e.err)
}

func (e *spillError) Unwrap() error { return e.err }

// read fills b with what was kept at a place, which is free afterwards.
func (s *spill) read(b []byte, at int64) error {
	if _, err := s.f.ReadAt(b, at); err != nil {
		if err == io.EOF { // not the end of the layer
			err = io.ErrUnexpectedEOF
		}
		return &spillError{err}
	}
	// Where holes can't be made, the space is free when the file is.
	_ = unix.Fallocate(int(s.f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, int64(len(b)))
	return nil
}

func (s *spill) close() {
	if s.f != nil {
		_ = s.f.Close()
	}
	s.failed = true
}
