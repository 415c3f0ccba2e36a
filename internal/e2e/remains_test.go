package e2e_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// scene is what was there before a test's runs, to be compared with.
type scene struct {
	t         *testing.T
	dir       string // of the test: whatever it mounts is below, or of the shared directory
	processes map[int]bool
	mounts    map[string]bool
	groups    map[string]bool
}

// adopt makes this process the one that orphans of the test go to, whatever
// session, namespace or arguments they have, and tells what there is now. dir
// has all the directories of the test.
func adopt(t *testing.T, dir string) *scene {
	t.Helper()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) })
	s := &scene{t: t, dir: dir, processes: map[int]bool{}}
	for _, pid := range descendants(os.Getpid()) {
		s.processes[pid] = true
	}
	s.mounts, s.groups = s.mounted(), controlGroups()
	return s
}

// mounted are the mounts that name a directory of the test.
func (s *scene) mounted() map[string]bool {
	found := map[string]bool{}
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		s.t.Error(err)
	}
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, s.dir) || strings.Contains(line, shared("")) {
			found[line] = true
		}
	}
	return found
}

// controlGroups are the control groups of runs, in all hierarchies.
func controlGroups() map[string]bool {
	found := map[string]bool{}
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && strings.HasPrefix(entry.Name(), "oci2bwrap-") {
			found[path] = true
		}
		return nil
	})
	return found
}

// orphans are the processes that the test's runs have left, by what they do.
// Those that have ended are reaped. Nothing else may have a child meanwhile.
func (s *scene) orphans() []string {
	var left []string
	for _, pid := range descendants(os.Getpid()) {
		state, parent := standing(strconv.Itoa(pid))
		switch {
		case s.processes[pid] || state == "":
		case state == "Z" && parent == os.Getpid():
			_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
		default:
			left = append(left, doing(pid)...)
		}
	}
	return left
}

// doing tells of each thread of a process its state, and where in the kernel it
// waits.
func doing(pid int) []string {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	var all []string
	for _, thread := range threads {
		state, parent := standing(strings.TrimPrefix(thread, "/proc/"))
		wchan, _ := os.ReadFile(thread + "/wchan")
		call, _ := os.ReadFile(thread + "/syscall")
		number, _, _ := strings.Cut(strings.TrimSpace(string(call)), " ")
		if state != "" {
			all = append(all, fmt.Sprintf("%d/%s %s, child of %d: state %s in %s, system call %s", pid, filepath.Base(thread), program(pid), parent, state, wchan, number))
		}
	}
	return all
}

// uninterruptible says whether a thread is among them that even SIGKILL leaves
// waiting, as for the disk in syncfs(2).
func uninterruptible(threads []string) bool {
	return slices.ContainsFunc(threads, func(line string) bool { return strings.Contains(line, ": state D ") })
}

// awaitEnd waits for the end of a killed oci2bwrap, and of what holds its output.
// One that the disk keeps waiting is waited for, and told of; anything else has
// to end in time.
func (s *scene) awaitEnd(run *sandbox, what string) {
	s.t.Helper()
	ended := make(chan struct{})
	go func() {
		_ = run.Wait()
		close(ended)
	}()
	begin := time.Now()
	for look := patience / 6; ; {
		select {
		case <-ended:
			if took := time.Since(begin); took > look {
				s.t.Logf("%s: ended after %v", what, took)
			}
			return
		case <-time.After(look):
		}
		var left []string
		for _, pid := range descendants(os.Getpid()) {
			if !s.processes[pid] {
				left = append(left, doing(pid)...)
			}
		}
		s.t.Logf("%s: after %v there are:\n%s", what, time.Since(begin), strings.Join(left, "\n"))
		if waited := time.Since(begin); waited > patience && !uninterruptible(left) || waited > 5*patience {
			_ = run.Process.Kill()
			s.t.Fatalf("%s: has not ended: %s", what, run.out.Bytes())
		}
	}
}

// checkGone checks that a killed run has left nothing: at once no process, no
// mount, and, after another run, no control group and no file.
func (s *scene) checkGone(run *sandbox, cache, what string) {
	t := s.t
	t.Helper()
	s.awaitEnd(run, what)
	var left []string
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if left = s.orphans(); len(left) == 0 || time.Now().After(deadline) && !uninterruptible(left) {
			break
		}
	}
	if len(left) > 0 {
		t.Fatalf("%s: processes are left:\n%s", what, strings.Join(left, "\n"))
	}
	if now := s.mounted(); !maps.Equal(now, s.mounts) {
		t.Errorf("%s: before there were the mounts %v, and now %v", what, s.mounts, now)
	}
	for _, args := range [][]string{{"run", "--cache-dir", cache, shared("images/tools"), "true"}, {"cache", "verify", "--cache-dir", cache}} {
		next := exec.Command(shared("bin/oci2bwrap"), args...)
		next.Env = run.Env
		if out, err := next.CombinedOutput(); err != nil {
			t.Errorf("%s: then %v: %v: %s", what, args, err, out)
		}
	}
	for _, dir := range []string{filepath.Join(run.work, "tmp"), filepath.Join(run.work, "home"), filepath.Join(cache, "tmp")} {
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%s: left in %s: %v, %v", what, dir, left, err)
		}
	}
	for group := range controlGroups() {
		if !s.groups[group] && strings.HasPrefix(filepath.Base(group), fmt.Sprintf("oci2bwrap-%d-", run.Process.Pid)) {
			t.Errorf("%s: a control group is left: %s", what, group)
		}
	}
}
