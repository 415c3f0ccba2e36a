package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// soak is how much of something the tests do: little, or, for make soak, much.
func soak(little, much int) int {
	if os.Getenv("OCI2BWRAP_SOAK") != "" {
		return much
	}
	return little
}

// TestLoad starts many sandboxes at once from one cache, and many one after
// another: every status is right, and nothing accumulates.
func TestLoad(t *testing.T) {
	needImages(t)
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		work := workDir(t)
		env := environment(t, bwrapDir, work)
		run := func(n int) time.Duration {
			begin := time.Now()
			cmd := exec.Command(shared("bin/oci2bwrap"), "run", "--quiet", shared("images/tools"), "sh", "-c", fmt.Sprintf("echo %d >/var/x; read x </var/x; exit $((x %% 100))", n))
			cmd.Env = env
			out, err := cmd.CombinedOutput()
			if got := cmd.ProcessState.ExitCode(); got != n%100 || len(out) > 0 {
				t.Errorf("run %d: status %d: %v: %s", n, got, err, out)
			}
			return time.Since(begin)
		}
		run(0)
		files, before, objects := filesBelow(work), resources(work), kernelObjects()
		atOnce, inRow := soak(20, 200), soak(20, 2000)
		begin := time.Now()
		var group sync.WaitGroup
		for n := range atOnce {
			group.Go(func() { run(n) })
		}
		group.Wait()
		t.Logf("%d at once: %.1f s", atOnce, time.Since(begin).Seconds())
		begin = time.Now()
		var first, last time.Duration // of a tenth each
		for n := range inRow {
			took := run(n)
			if n < inRow/10 {
				first += took
			} else if n >= inRow-inRow/10 {
				last += took
			}
		}
		t.Logf("%d in a row: %.1f s, the first tenth %.1f s, the last %.1f s", inRow, time.Since(begin).Seconds(), first.Seconds(), last.Seconds())
		if after := resources(work); after != before {
			t.Errorf("before: %s, after: %s", before, after)
		}
		checkGrowth(t, objects, atOnce+inRow)
		for name := range filesBelow(work) {
			// What is known of a bubblewrap is kept by its inode's change time,
			// which other runs of these tests set by linking to it.
			if !files[name] && !strings.HasPrefix(filepath.Base(name), "bwrap-") {
				t.Errorf("left behind: %s", name)
			}
		}
	})
}

// resources counts what could be left behind, files aside.
func resources(work string) string {
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	return fmt.Sprintf("%d mounts, %d processes of ours", bytes.Count(mounts, []byte(work)), len(descendants(os.Getpid())))
}

// counted are the kernel's caches of objects that a sandbox has at least one of.
var counted = map[string]bool{"pid_namespace": true, "user_namespace": true, "net_namespace": true, "mnt_cache": true, "nsproxy": true, "key_jar": true}

// kernelObjects counts what a run could leave in the kernel, of the whole machine:
// open files, keys of this user, and, where this may be read, namespaces and
// mounts.
func kernelObjects() map[string]int {
	counts := map[string]int{}
	nr, _ := os.ReadFile("/proc/sys/fs/file-nr")
	if f := strings.Fields(string(nr)); len(f) > 0 {
		counts["open files"], _ = strconv.Atoi(f[0])
	}
	users, _ := os.ReadFile("/proc/key-users")
	for line := range strings.Lines(string(users)) {
		if f := strings.Fields(line); len(f) > 3 && f[0] == strconv.Itoa(os.Getuid())+":" {
			keys, _, _ := strings.Cut(f[3], "/")
			counts["keys"], _ = strconv.Atoi(keys)
		}
	}
	slabs, _ := os.ReadFile("/proc/slabinfo") // root's
	for line := range strings.Lines(string(slabs)) {
		if f := strings.Fields(line); len(f) > 1 && counted[f[0]] {
			counts[f[0]], _ = strconv.Atoi(f[1])
		}
	}
	return counts
}

// checkGrowth holds the kernel's counts to their earlier values. Others use the
// machine too, and the kernel frees late, so that what is wrong is growth by an
// object for every second run: where there were too few runs to tell, the counts
// are shown.
func checkGrowth(t *testing.T, before map[string]int, runs int) {
	t.Helper()
	const least = 1000
	grown := func(now map[string]int) string {
		for name := range now {
			if runs >= least && now[name]-before[name] >= runs/2 {
				return name
			}
		}
		return ""
	}
	now := kernelObjects()
	for deadline := time.Now().Add(patience); grown(now) != "" && time.Now().Before(deadline); now = kernelObjects() {
		time.Sleep(time.Second)
	}
	t.Logf("in the kernel before: %v, after: %v", before, now)
	if name := grown(now); name != "" {
		t.Errorf("%d runs: %s grew from %d to %d", runs, name, before[name], now[name])
	}
}

func filesBelow(dir string) map[string]bool {
	names := map[string]bool{}
	_ = filepath.WalkDir(dir, func(path string, _ os.DirEntry, _ error) error {
		names[path] = true
		return nil
	})
	return names
}
