package layout

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// watched tells when it was read to its end.
type watched struct {
	r   io.Reader
	end chan struct{}
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err == io.EOF {
		close(w.end)
	}
	return n, err
}

// TestSpill reads a stream far ahead of its turn: into a file where that can
// be, and otherwise no further than memory allows. Its content is the same.
func TestSpill(t *testing.T) {
	content := make([]byte, 5<<20+12345)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(content)
	tests := []struct {
		name   string
		change func(*spill)
		ahead  bool // to the end of the stream
		kept   func(n int64) bool
	}{
		{"all", func(s *spill) { s.most = 16 << 20 }, true, func(n int64) bool { return n > 4<<20 }},
		{"bounded", func(s *spill) { s.most = 1 << 20 }, false, func(n int64) bool { return n <= 1<<20 }},
		{"no directory", func(s *spill) { s.dirFD = -1 }, false, func(n int64) bool { return n == 0 }},
		{"no space to spare", func(s *spill) { s.spare = math.MaxInt64 - chunkSize }, false, func(n int64) bool { return n == 0 }},
		{"no write", func(s *spill) { s.f = readOnly(t) }, false, func(n int64) bool { return n == 0 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := tempDir(t)
			fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			sp := &spill{dirFD: fd, most: 16 << 20}
			tt.change(sp)
			w := &watched{bytes.NewReader(content), make(chan struct{})}
			s := newStage(context.Background(), w, nil, newChunkPool(), 2, sp)
			if tt.ahead {
				<-w.end
			}
			got, err := io.ReadAll(s)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes (%v), which are not the %d that were there", len(got), err, len(content))
			}
			s.stop()
			s.wg.Wait()
			s.release()
			if !tt.kept(sp.end) {
				t.Errorf("%d bytes were spilled", sp.end)
			}
			if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
				t.Errorf("left in the directory: %v (%v)", names, err)
			}
		})
	}
}

// TestSpillUnreadable has a spill that was written and can't be read: that is an
// error at once, though the stages before it wait for their reader.
func TestSpillUnreadable(t *testing.T) {
	content := make([]byte, 40<<20)
	for _, tt := range []struct {
		name  string
		spoil func(f *os.File) error
		want  error
	}{
		{"closed", (*os.File).Close, os.ErrClosed},
		{"cut short", func(f *os.File) error { return f.Truncate(0) }, io.ErrUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fd, err := unix.Open(tempDir(t), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Second, errors.New("reading hangs"))
			defer cancel()
			sp := &spill{dirFD: fd, most: 1 << 20}
			s := &stream{layer: &Layer{}, pool: newChunkPool()}
			s.add(ctx, bytes.NewReader(content), nil, chunkCount, nil)
			s.add(ctx, s.last, sha256.New(), 2, sp)
			for len(s.last.full) < 2+1<<20/chunkSize {
				time.Sleep(time.Millisecond)
			}
			if err := tt.spoil(sp.f); err != nil {
				t.Fatal(err)
			}
			if err := readError(s, s.verify()); !errors.Is(err, tt.want) || ctx.Err() != nil {
				t.Errorf("got %v (%v), want %v", err, context.Cause(ctx), tt.want)
			}
			s.close()
		})
	}
}

func readOnly(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
