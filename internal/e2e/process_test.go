package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what should happen at once.
const patience = time.Minute

// workDir is a directory of the test's own, which goes with it, though an
// ordinary user unpacked directories into it that may not be written.
func workDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if entry != nil && entry.IsDir() {
				_ = os.Chmod(path, 0o700)
			}
			return nil
		})
	})
	return dir
}

// sandbox is a run of oci2bwrap that has begun.
type sandbox struct {
	*exec.Cmd
	t      *testing.T
	out    bytes.Buffer
	work   string // the test's directory of this run
	sync   string // a directory that the command sees as /sync
	marker string // an argument that no other process has
}

// tools is the image "tools", and what comes before a script for its shell.
func tools() []string { return []string{shared("images/tools"), "sh", "-c"} }

// start runs a shell script in the image "tools". /sync is a directory of the
// test, and "$MARKER" a number of seconds that sleep takes and no other process
// has among its arguments.
func start(t *testing.T, bwrapDir, script string, flags ...string) *sandbox {
	t.Helper()
	return startImage(t, bwrapDir, tools(), script, flags...)
}

// startImage does it in another image: image is its name and what comes before
// the script.
func startImage(t *testing.T, bwrapDir string, image []string, script string, flags ...string) *sandbox {
	t.Helper()
	s := prepared(t, bwrapDir, image, script, flags...)
	s.begin()
	return s
}

// prepared is what startImage starts.
func prepared(t *testing.T, bwrapDir string, image []string, script string, flags ...string) *sandbox {
	t.Helper()
	work := workDir(t)
	s := &sandbox{t: t, work: work, sync: filepath.Join(work, "sync"), marker: "86399." + strconv.FormatInt(time.Now().UnixNano(), 10)}
	if err := os.Mkdir(s.sync, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.sync, 0o777); err != nil { // the command may be another user
		t.Fatal(err)
	}
	args := append([]string{"run", "--quiet", "-v", s.sync + ":/sync"}, flags...)
	args = append(append(args, image...), strings.ReplaceAll(script, "$MARKER", s.marker))
	s.Cmd = exec.Command(shared("bin/oci2bwrap"), args...)
	s.Env = environment(t, bwrapDir, work)
	s.Stdout, s.Stderr = &s.out, &s.out
	return s
}

func (s *sandbox) begin() {
	s.t.Helper()
	if err := s.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = s.Process.Kill()
		_ = s.Wait()
	})
}

// ready waits until the command has made /sync/ready.
func (s *sandbox) ready() {
	s.t.Helper()
	eventually(s.t, "the command is ready", func() bool {
		_, err := os.Stat(filepath.Join(s.sync, "ready"))
		return err == nil
	})
}

func (s *sandbox) signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.Process.Signal(signal); err != nil {
		s.t.Fatalf("%v: %v\n%s", signal, err, s.out.Bytes())
	}
}

// ends waits for oci2bwrap to end with status, and checks that all that it
// started has ended too.
func (s *sandbox) ends(status int) {
	s.t.Helper()
	timer := time.AfterFunc(patience, func() { _ = s.Process.Kill() })
	defer timer.Stop()
	err := s.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	if got := s.ProcessState.ExitCode(); got != status {
		s.t.Fatalf("ended with %v, want status %d\n%s", s.ProcessState, status, s.out.Bytes())
	}
	if left := processes(s.marker); len(left) != 0 {
		s.t.Errorf("left behind: %v", left)
	}
}

// eventually waits until done reports true.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%v have passed and not: %s", patience, what)
		}
	}
}

// processes returns the processes, zombies aside, with marker in an argument, by
// their id, with their arguments.
func processes(marker string) map[int]string {
	found := map[int]string{}
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && bytes.Contains(args, []byte(marker)) {
			found[pid] = strings.ReplaceAll(string(args), "\x00", " ")
		}
	}
	return found
}
