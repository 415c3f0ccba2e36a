package layout

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTamperedCache puts links in the place of what the cache holds: they are
// found, and never followed.
func TestTamperedCache(t *testing.T) {
	img := imageOf(t, plainLayers(archive(t, file("f", "1"), folder("d", 0o755)))...)
	replace := func(path, target string) error {
		if err := os.Rename(path, path+".moved"); err != nil {
			return err
		}
		return os.Symlink(target, path)
	}
	for name, harm := range map[string]func(key, outside string) error{
		"root elsewhere":     func(key, outside string) error { return replace(key+"/rootfs", outside) },
		"root is the host's": func(key, _ string) error { return replace(key+"/rootfs", "/") },
		"root is another's":  func(key, _ string) error { return replace(key+"/rootfs", "rootfs.moved") },
		"root is a file": func(key, _ string) error {
			os.RemoveAll(key + "/rootfs")
			return os.WriteFile(key+"/rootfs", nil, 0o600)
		},
		"all of it elsewhere":     func(key, _ string) error { return replace(key, key+".moved") },
		"all of it is the host's": func(key, _ string) error { return replace(key, "/") },
		"meta.json elsewhere":     func(key, outside string) error { return replace(key+"/meta.json", outside+"/keep") },
		"meta.json is a fifo": func(key, _ string) error {
			os.Remove(key + "/meta.json")
			return unix.Mkfifo(key+"/meta.json", 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tempDir(t)
			s := &Store{Dir: filepath.Join(dir, "root")}
			used(t, s, img)
			check := canary(t, dir)
			key := filepath.Join(s.Dir, "roots", s.key(img))
			if err := harm(key, filepath.Join(dir, "canary")); err != nil {
				t.Fatal(err)
			}
			if damage, err := s.Verify(t.Context()); err != nil || len(damage) == 0 || damage[0].Key != s.key(img) {
				t.Errorf("found %v, %v", damage, err)
			}
			root, err := s.Rootfs(t.Context(), img)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			if b, err := os.ReadFile(filepath.Join(root.Dirs[0], "f")); err != nil || string(b) != "1" {
				t.Errorf("f is %q, %v", b, err)
			}
			if at, err := filepath.EvalSymlinks(root.Dirs[0]); err != nil || at != filepath.Join(key, "rootfs") {
				t.Errorf("the root is %s, %v", at, err)
			}
			os.RemoveAll(key + ".moved")
			if damage, err := s.Verify(t.Context()); err != nil || damage != nil {
				t.Errorf("after another start: %v, %v", damage, err)
			}
			check()
		})
	}
}

// TestClockBackwards has roots that were last used in the future: they are
// listed and kept, until one asks for them to go or uses them.
func TestClockBackwards(t *testing.T) {
	s := &Store{Dir: tempDir(t)}
	img := imageOf(t, plainLayers(archive(t, file("f", "1")))...)
	used(t, s, img)
	now := time.Now()
	future := now.Add(10 * 365 * 24 * time.Hour)
	if err := os.Chtimes(filepath.Join(s.Dir, "locks", s.key(img)), future, future); err != nil {
		t.Fatal(err)
	}
	list, err := s.List()
	if err != nil || len(list) != 1 || !list[0].LastUse.After(now) {
		t.Fatalf("%v, %v", list, err)
	}
	if removed, err := s.Prune(PruneOptions{OlderThan: time.Nanosecond}, now); err != nil || removed != nil {
		t.Errorf("removed %v, %v", removed, err)
	}
	used(t, s, img)
	if list, err = s.List(); err != nil || list[0].LastUse.After(now.Add(time.Hour)) {
		t.Errorf("after use: %v, %v", list, err)
	}
	os.Chtimes(filepath.Join(s.Dir, "locks", s.key(img)), future, future)
	if removed, err := s.Prune(PruneOptions{KeepBytes: 1}, now); err != nil || len(removed) != 1 {
		t.Errorf("removed %v, %v", removed, err)
	}
}

const limitEnv = "LAYOUT_TEST_LIMIT" // RESOURCE=VALUE

// TestLimitedProcess is a process that has an image's root under a limit.
func TestLimitedProcess(t *testing.T) {
	resource, value, ok := strings.Cut(os.Getenv(limitEnv), "=")
	if !ok {
		return
	}
	r, _ := strconv.Atoi(resource)
	v, _ := strconv.ParseUint(value, 10, 64)
	img, err := Open(Ref{Path: os.Getenv(imageEnv)}, OpenOptions{Platform: "linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(r, &unix.Rlimit{Cur: v, Max: v}); err != nil {
		t.Fatal(err)
	}
	root, err := (&Store{Dir: os.Getenv(processEnv)}).Rootfs(t.Context(), img)
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(3)
	}
	root.Close()
}

// TestKernelLimits unpacks under limits of the kernel: on file sizes, descriptors and
// memory. It fails with a word, or goes well; the cache is valid either way, and
// the next start leaves nothing of it.
func TestKernelLimits(t *testing.T) {
	l := severalLayers(t)
	for _, test := range []struct {
		name     string
		resource int
		value    uint64
		want     string // "" where the process may end in any way
	}{
		{"file size", unix.RLIMIT_FSIZE, 150, "file too large"},
		{"file size of the record", unix.RLIMIT_FSIZE, 4000, "file too large"},
		{"descriptors", unix.RLIMIT_NOFILE, 16, "too many open files"},
		{"one descriptor more than there are", unix.RLIMIT_NOFILE, 9, "too many open files"},
		{"memory", unix.RLIMIT_DATA, 30 << 20, ""},
		{"processes", unix.RLIMIT_NPROC, 1, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := tempDir(t)
			cmd := exec.Command("/proc/self/exe", "-test.run=^TestLimitedProcess$")
			cmd.Env = append(os.Environ(), processEnv+"="+dir, imageEnv+"="+l.path, fmt.Sprintf("%s=%d=%d", limitEnv, test.resource, test.value))
			out, err := cmd.CombinedOutput()
			text := string(out[:min(len(out), 2000)])
			if test.want != "" && (cmd.ProcessState.ExitCode() != 3 || !strings.Contains(text, test.want)) {
				t.Errorf("%v, want %q: %s", err, test.want, text)
			}
			s := &Store{Dir: dir}
			if damage, err := s.Verify(t.Context()); err != nil || damage != nil {
				t.Errorf("damage: %v, %v", damage, err)
			}
			used(t, s, imageOf(t))
			if left := names(t, dir, "tmp"); left != nil {
				t.Errorf("left %v", left)
			}
		})
	}
}

// TestWriteErrors has a disk that loses what is written to it: a file system on
// a file that a full one has no room for. A write seems to go well, and is not
// taken for one that did.
func TestWriteErrors(t *testing.T) {
	if os.Getenv(mountEnv) != "" {
		writeErrors(t)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount")
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skip(err)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestWriteErrors$")
	cmd.Env = append(os.Environ(), mountEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func writeErrors(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=12m"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	disk, at := filepath.Join(dir, "disk"), filepath.Join(dir, "at")
	for _, err := range []error{os.WriteFile(disk, nil, 0o600), os.Truncate(disk, 64<<20), os.Mkdir(at, 0o700)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"mkfs.ext4", "-q", "-O", "^has_journal", disk}, {"mount", "-o", "loop", disk, at}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	defer unix.Unmount(at, unix.MNT_DETACH)
	big := make([]byte, 30<<20)
	rand.NewChaCha8([32]byte{}).Read(big)
	s := &Store{Dir: filepath.Join(at, "cache")}
	root, err := s.Rootfs(t.Context(), imageOf(t, plainLayers(archive(t, file("big", string(big))))...))
	if err == nil {
		root.Close()
		t.Error("unpacked to a disk that has lost it")
	} else if !errors.Is(err, unix.EIO) {
		t.Errorf("got %v", err)
	}
	if roots := names(t, s.Dir, "roots"); roots != nil {
		t.Errorf("in the cache: %v", roots)
	}
}
