package layout

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func blocks(info fs.FileInfo) int64 { return info.Sys().(*syscall.Stat_t).Blocks }

// names lists a directory of the cache.
func names(t *testing.T, path ...string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(path...))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestStore(t *testing.T) {
	img := imageOf(t, plainLayers(archive(t, file("f", "1"), folder("closed", 0), file("closed/g", "2"), device("null", 1, 3)))...)
	s := &Store{Dir: filepath.Join(tempDir(t), "a", "cache")}
	for range 2 {
		root, err := s.Rootfs(t.Context(), img)
		if err != nil {
			t.Fatal(err)
		}
		if len(root.Dirs) != 1 || !root.Owned || len(root.Skipped) != 1 || root.Skipped[0].Path != "null" {
			t.Errorf("got %+v", root)
		}
		if b, err := os.ReadFile(filepath.Join(root.Dirs[0], "f")); err != nil || string(b) != "1" {
			t.Errorf("f is %q, %v", b, err)
		}
		if err := root.Close(); err != nil {
			t.Error(err)
		}
		// The second time nothing of the layers is looked at.
		img.Layers[0].open = nil
	}
	for _, dir := range []string{"", "roots", "locks", "tmp", "roots/" + names(t, s.Dir, "roots")[0]} {
		info, err := os.Stat(filepath.Join(s.Dir, dir))
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%q: %v, %v", dir, info.Mode(), err)
		}
	}
	if left := names(t, s.Dir, "tmp"); left != nil {
		t.Errorf("left %v", left)
	}
}

func TestStoreWithoutLayers(t *testing.T) {
	root, err := (&Store{Dir: tempDir(t)}).Rootfs(t.Context(), imageOf(t))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if got := names(t, root.Dirs[0]); got != nil {
		t.Errorf("has %v", got)
	}
}

func TestStoreKeepsNothingOfWhatFailed(t *testing.T) {
	plain := archive(t, folder("closed", 0), file("closed/x", "1"))
	bad := imageOf(t, stored{ociLayer, plain, []byte("other")})
	s := &Store{Dir: tempDir(t)}
	if _, err := s.Rootfs(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "wrong diff_id") {
		t.Fatalf("got %v", err)
	}
	if got := append(names(t, s.Dir, "roots"), names(t, s.Dir, "tmp")...); got != nil {
		t.Errorf("left %v", got)
	}
	good := imageOf(t, plainLayers(plain)...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Rootfs(ctx, good); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if got := append(names(t, s.Dir, "roots"), names(t, s.Dir, "tmp")...); got != nil {
		t.Errorf("left %v", got)
	}
	root, err := s.Rootfs(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	root.Close()
}

// TestStoreUnpacksOnce starts many first runs at once.
func TestStoreUnpacksOnce(t *testing.T) {
	img := imageOf(t, plainLayers(archive(t, file("f", "1")))...)
	var opened atomic.Int32
	open := img.Layers[0].open
	img.Layers[0].open = func() (r io.ReadCloser, err error) {
		opened.Add(1)
		time.Sleep(50 * time.Millisecond)
		return open()
	}
	s := &Store{Dir: tempDir(t)}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			root, err := s.Rootfs(t.Context(), img)
			if err != nil {
				t.Error(err)
				return
			}
			defer root.Close()
			if b, err := os.ReadFile(filepath.Join(root.Dirs[0], "f")); err != nil || string(b) != "1" {
				t.Errorf("f is %q, %v", b, err)
			}
		})
	}
	wg.Wait()
	if n := opened.Load(); n != 1 {
		t.Errorf("unpacked %d times", n)
	}
}

// TestStoreInUse holds a root: its lock can't be had exclusively until Close.
func TestStoreInUse(t *testing.T) {
	s := &Store{Dir: tempDir(t)}
	img := imageOf(t, plainLayers(archive(t, file("f", "1")))...)
	root, err := s.Rootfs(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	l, err := openLock(filepath.Join(s.Dir, "locks", s.key(img)))
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if err := l.try(unix.LOCK_EX); err != errLocked {
		t.Errorf("in use: got %v", err)
	}
	if flags, err := unix.FcntlInt(root.lock.f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("lock is inherited: %v, %v", flags, err)
	}
	if err := root.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.try(unix.LOCK_EX); err != nil {
		t.Errorf("after Close: %v", err)
	}
	// Who prunes holds the lock; who starts meanwhile waits.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Rootfs(ctx, img); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestStoreReadOnly(t *testing.T) {
	dir := filepath.Join(tempDir(t), "cache")
	s := &Store{Dir: dir}
	img := imageOf(t, plainLayers(archive(t, file("f", "1")))...)
	root, err := s.Rootfs(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	root.Close()
	for _, sub := range []string{"locks", "tmp", "roots", ""} {
		os.Chmod(filepath.Join(dir, sub), 0o500)
		defer os.Chmod(filepath.Join(dir, sub), 0o700)
	}
	for range 2 {
		root, err = s.Rootfs(t.Context(), img)
		if err != nil {
			t.Fatal(err)
		}
		root.Close()
		os.Chmod(filepath.Join(dir, "locks"), 0o700)
		os.Remove(filepath.Join(dir, "locks", s.key(img)))
		os.Chmod(filepath.Join(dir, "locks"), 0o500)
	}
	if os.Geteuid() == 0 {
		return // may write anywhere
	}
	other := imageOf(t, plainLayers(archive(t, file("f", "2")))...)
	for _, s := range []*Store{s, {Dir: filepath.Join(dir, "sub")}} {
		_, err = s.Rootfs(t.Context(), other)
		var hint interface{ Hint() string }
		if !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "--cache-dir") {
			t.Errorf("got %v", err)
		}
	}
}

func TestStoreNeedsADirectory(t *testing.T) {
	path := filepath.Join(tempDir(t), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", path, path + "/sub"} {
		if _, err := (&Store{Dir: dir}).Rootfs(t.Context(), imageOf(t)); err == nil || !strings.HasPrefix(err.Error(), "cache: ") {
			t.Errorf("%q: got %v", dir, err)
		}
	}
}

const writerEnv = "LAYOUT_TEST_WRITER"

// TestStoreAfterKill kills a writer in the middle of a layer: the next start
// of another image removes what it left.
func TestStoreAfterKill(t *testing.T) {
	img := imageOf(t, plainLayers(archive(t, folder("closed", 0), file("closed/f", "1")))...)
	if dir := os.Getenv(writerEnv); dir != "" {
		open := img.Layers[0].open
		img.Layers[0].open = func() (io.ReadCloser, error) {
			r, err := open()
			return struct {
				io.Reader
				io.Closer
			}{&stuck{r}, r}, err
		}
		_, err := (&Store{Dir: dir}).Rootfs(t.Context(), img)
		t.Fatal("came back", err)
	}
	s := &Store{Dir: tempDir(t)}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestStoreAfterKill$")
	cmd.Env = append(os.Environ(), writerEnv+"="+s.Dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if len(names(t, s.Dir, "tmp")) > 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if len(names(t, s.Dir, "tmp")) != 1 {
		t.Fatal("the writer did not start")
	}
	other := imageOf(t, plainLayers(archive(t, file("other", "1")))...)
	root, err := s.Rootfs(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	root.Close()
	if len(names(t, s.Dir, "tmp")) != 1 {
		t.Error("removed what a living writer has")
	}
	cmd.Process.Kill()
	cmd.Wait()
	if root, err = s.Rootfs(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	root.Close()
	if left := names(t, s.Dir, "tmp"); left != nil {
		t.Errorf("left %v", left)
	}
	if root, err = s.Rootfs(t.Context(), img); err != nil {
		t.Fatal(err)
	}
	root.Close()
}

// stuck never comes to the end of what it reads.
type stuck struct{ r io.Reader }

func (s *stuck) Read(p []byte) (int, error) {
	if n, err := s.r.Read(p); err == nil {
		return n, nil
	}
	time.Sleep(time.Hour) // not select{}: with nothing else to do, the runtime would call that a deadlock
	return 0, io.EOF
}
