package e2e_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
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

// killPhases are when a run is killed.
var killPhases = []string{"unpacking", "starting", "running", "stopping"}

// TestKills kills oci2bwrap, bubblewrap, or what else it has started, at random
// moments of a run. Nothing is left: no process, no mount, no scratch once
// another run has started, and the cache is sound.
func TestKills(t *testing.T) {
	needImages(t)
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		hit := map[string]int{}
		full := filepath.Join(workDir(t), "cache") // once the first run has filled it
		kills := soak(16, 200)
		for n := range kills {
			phase := killPhases[n%len(killPhases)]
			cache := full
			if phase == "unpacking" {
				cache = filepath.Join(workDir(t), "cache")
			}
			s := start(t, bwrapDir, `trap "sleep 0.01; exit 0" USR1; sleep $MARKER & echo x >/var/x; touch /sync/ready; while :; do sleep 0.05; done # $MARKER`, append(killFlags(n), "--cache-dir", cache)...)
			victim := killAt(s, phase, n, random)
			hit[phase+" "+victim]++
			checkGone(t, s, cache, fmt.Sprintf("kill %d, %s, %s", n, phase, victim))
		}
		t.Logf("%d kills: %v", kills, hit)
	})
}

func killFlags(n int) []string {
	return [][]string{nil, {"--writable"}, {"--network", "none"}, {"--no-cache"}}[n/len(killPhases)%4]
}

// killAt kills at a moment of the phase, and says whom.
func killAt(s *sandbox, phase string, n int, random *rand.Rand) string {
	switch phase {
	case "unpacking":
		time.Sleep(time.Duration(random.Int64N(int64(100 * time.Millisecond))))
	case "starting":
		if n/4%3 != 0 { // whom to kill has to be there
			eventually(s.t, "something has been started", func() bool { return len(descendants(s.Process.Pid)) > 0 })
		}
		time.Sleep(time.Duration(random.Int64N(int64(30 * time.Millisecond))))
	case "running":
		s.ready()
		time.Sleep(time.Duration(random.Int64N(int64(5 * time.Millisecond))))
	case "stopping":
		s.ready()
		s.signal(syscall.SIGTERM)
		time.Sleep(time.Duration(random.Int64N(int64(25 * time.Millisecond))))
	}
	below := descendants(s.Process.Pid)
	if n/4%3 == 0 || len(below) == 0 {
		_ = s.Process.Kill()
		return "oci2bwrap"
	}
	pid := below[random.IntN(len(below))]
	name, parent := program(pid), program(parentOf(pid))
	_ = syscall.Kill(pid, syscall.SIGKILL)
	if _, err := strconv.Atoi(name); err == nil {
		name = "init" // it is run by its descriptor's number
	}
	certain := (phase == "running" || phase == "stopping") && (name == "bwrap" || name == "ld.so" || name == "init")
	if parent == "sh" {
		name = "the command's child, then oci2bwrap"
	}
	// A run outlives a child of its command, and a probe of what bubblewrap can
	// do. It is ended by hand; that it lived is no fault.
	if !certain {
		time.Sleep(time.Duration(random.Int64N(int64(5 * time.Millisecond))))
		_ = s.Process.Kill()
	}
	return name
}

// program is the name of what a process runs.
func program(pid int) string {
	comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(comm))
}

// parentOf is a process's parent, 0 for one that has gone.
func parentOf(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	i := bytes.LastIndexByte(stat, ')')
	if err != nil || i < 0 {
		return 0
	}
	fields := strings.Fields(string(stat[i+1:]))
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

// descendants are the processes below pid.
func descendants(pid int) []int {
	parents := map[int]int{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if child, err := strconv.Atoi(e.Name()); err == nil {
			parents[child] = parentOf(child)
		}
	}
	var below []int
	for child := range parents {
		for at := parents[child]; at > 1; at = parents[at] {
			if at == pid {
				below = append(below, child)
				break
			}
		}
	}
	return below
}

// checkGone checks that a killed run has left nothing.
func checkGone(t *testing.T, s *sandbox, cache, what string) {
	t.Helper()
	work := filepath.Dir(s.sync)
	timer := time.AfterFunc(patience, func() { _ = s.Process.Kill() })
	_ = s.Wait()
	if !timer.Stop() {
		t.Errorf("%s: oci2bwrap did not end: %s", what, s.out.Bytes())
	}
	eventually(t, what+": no process is left", func() bool { return len(processes(s.marker)) == 0 })
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || bytes.Contains(mounts, []byte(work)) {
		t.Errorf("%s: a mount is left: %v", what, err)
	}
	if left, _ := filepath.Glob("/sys/fs/cgroup/*/*oci2bwrap*"); len(left) > 0 && strings.Contains(strings.Join(left, " "), strconv.Itoa(s.Process.Pid)) {
		t.Errorf("%s: a control group is left: %v", what, left)
	}
	for _, args := range [][]string{{"run", "--cache-dir", cache, shared("images/tools"), "true"}, {"cache", "verify", "--cache-dir", cache}} {
		next := exec.Command(s.Path, args...)
		next.Env = s.Env
		if out, err := next.CombinedOutput(); err != nil {
			t.Errorf("%s: then %v: %v: %s", what, args, err, out)
		}
	}
	for _, dir := range []string{filepath.Join(work, "tmp"), filepath.Join(cache, "tmp")} {
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%s: left in %s: %v, %v", what, dir, left, err)
		}
	}
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
		files, before := filesBelow(work), resources(work)
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

func filesBelow(dir string) map[string]bool {
	names := map[string]bool{}
	_ = filepath.WalkDir(dir, func(path string, _ os.DirEntry, _ error) error {
		names[path] = true
		return nil
	})
	return names
}
