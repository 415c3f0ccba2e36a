package layout

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	processEnv = "LAYOUT_TEST_PROCESS" // the cache of a process that TestProcess is
	imageEnv   = "LAYOUT_TEST_IMAGE"
	keepEnv    = "LAYOUT_TEST_TEMPORARY"
)

// TestProcess is another process: it has an image's root and says whether it
// was the one that unpacked it.
func TestProcess(t *testing.T) {
	dir := os.Getenv(processEnv)
	if dir == "" {
		return
	}
	img, err := Open(Ref{Path: os.Getenv(imageEnv)}, OpenOptions{Platform: "linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	s := &Store{Dir: dir, Temporary: os.Getenv(keepEnv) != ""}
	s.Progress = func(Progress) { fmt.Println("unpacks") }
	root, err := s.Rootfs(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root.Dirs[0], "last")); err != nil {
		t.Error(err)
	}
	root.Close()
}

// process is TestProcess, to be started.
func process(dir, image string, env ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestProcess$")
	cmd.Env = append(append(os.Environ(), processEnv+"="+dir, imageEnv+"="+image), env...)
	return cmd
}

// severalLayers is an image that takes a while.
func severalLayers(t *testing.T) *layoutDir {
	l := newLayout(t)
	var layers []stored
	for n := range 4 {
		var all []ent
		for i := range 200 {
			all = append(all, file(fmt.Sprintf("d%d/f%d", i%20, i/(n+1)), strings.Repeat(fmt.Sprint(n, i), i)))
		}
		plain := archive(t, append(all, file("last", fmt.Sprint(n)), white(fmt.Sprintf("d%d/.wh.f1", n)))...)
		layers = append(layers, stored{ociLayer + "+gzip", gzipped(plain), plain})
	}
	l.index(l.manifest("linux/amd64", layers...))
	return l
}

func TestManyProcesses(t *testing.T) {
	l, dir := severalLayers(t), tempDir(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	unpacked := 0
	for range 20 {
		wg.Go(func() {
			out, err := process(dir, l.path).CombinedOutput()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
			if strings.Contains(string(out), "unpacks") {
				unpacked++
			}
		})
	}
	wg.Wait()
	if unpacked != 1 {
		t.Errorf("unpacked %d times", unpacked)
	}
}

// TestKilledProcesses kills at random moments: what is there is whole, and
// what is left goes away.
func TestKilledProcesses(t *testing.T) {
	l, dir := severalLayers(t), tempDir(t)
	whole := time.Now()
	if out, err := process(tempDir(t), l.path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	took := time.Since(whole)
	s := &Store{Dir: dir}
	kills := 12
	if os.Geteuid() != 0 {
		kills = 4 // the tests of everybody have a minute
	}
	for n := range kills {
		var env []string
		if n%2 == 1 {
			env = []string{keepEnv + "=1"}
		}
		cmd := process(dir, l.path, env...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(rand.N(took))
		cmd.Process.Kill()
		cmd.Wait()
		if damage, err := s.Verify(t.Context()); err != nil || damage != nil {
			t.Fatalf("damage: %v, %v", damage, err)
		}
	}
	img, err := Open(Ref{Path: l.path}, OpenOptions{Platform: "linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	root := used(t, s, img)
	alone := filepath.Join(tempDir(t), "alone")
	if err := Unpack(t.Context(), img, alone, UnpackOptions{}); err != nil {
		t.Fatal(err)
	}
	if facts(t, root) != facts(t, alone) {
		t.Error("the root is not what it should be")
	}
	if left := names(t, dir, "tmp"); left != nil {
		t.Errorf("left %v", left)
	}
	if _, err := s.Prune(PruneOptions{All: true}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if left := append(names(t, dir, "locks"), names(t, dir, "tmp")...); left != nil {
		t.Errorf("left %v after prune", left)
	}
}

const mountEnv = "LAYOUT_TEST_MOUNT"

// TestFullAndReadOnly runs in a mount namespace of its own, where it fills a
// small file system and then makes it read-only.
func TestFullAndReadOnly(t *testing.T) {
	if os.Getenv(mountEnv) != "" {
		fullAndReadOnly(t)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount")
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestFullAndReadOnly$")
	cmd.Env = append(os.Environ(), mountEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func fullAndReadOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "small")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	s := &Store{Dir: filepath.Join(dir, "cache")}
	small := imageOf(t, plainLayers(archive(t, file("f", "1")))...)
	large := imageOf(t, plainLayers(archive(t, file("f", "1")), archive(t, file("big", strings.Repeat("x", 4<<20))))...)
	used(t, s, small)
	_, err := s.Rootfs(t.Context(), large)
	var hint interface{ Hint() string }
	if !errors.Is(err, unix.ENOSPC) || !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "make room") {
		t.Errorf("full: got %v", err)
	}
	for name, write := range map[string]func(dir string) error{
		"unpacked": func(dir string) error { return Unpack(t.Context(), large, dir, UnpackOptions{}) },
		"exported": func(dir string) error { _, err := Export(t.Context(), large, dir, ExportOptions{}); return err },
	} {
		err := write(filepath.Join(dir, name))
		if !errors.Is(err, unix.ENOSPC) || !errors.As(err, &hint) || hint.Hint() != "make room, or name a directory on another disk" {
			t.Errorf("full: %s: got %v", name, err)
		}
	}
	if left := names(t, dir, "."); !slices.Equal(left, []string{"cache"}) {
		t.Errorf("full: left %v", left)
	}
	if damage, err := s.Verify(t.Context()); err != nil || damage != nil {
		t.Errorf("full: damage %v, %v", damage, err)
	}
	if left := names(t, s.Dir, "tmp"); left != nil {
		t.Errorf("full: left %v", left)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	used(t, s, small)
	for _, s := range []*Store{s, {Dir: filepath.Join(dir, "none")}, {Dir: s.Dir, Temporary: true}} {
		_, err = s.Rootfs(t.Context(), large)
		if !errors.Is(err, unix.EROFS) || !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "--cache-dir") {
			t.Errorf("read-only: got %v", err)
		}
	}
	if list, err := s.List(); err != nil || len(list) != 1 || list[0].InUse {
		t.Errorf("read-only: %v, %v", list, err)
	}
	if _, err := s.Prune(PruneOptions{All: true}, time.Now()); !errors.Is(err, unix.EROFS) {
		t.Errorf("read-only: prune says %v", err)
	}
	if damage, err := s.Verify(t.Context()); err != nil || damage != nil {
		t.Errorf("read-only: damage %v, %v", damage, err)
	}
}
