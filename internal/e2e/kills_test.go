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
	"syscall"
	"testing"
	"time"
)

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
		before := adopt(t, filepath.Dir(filepath.Dir(full)))
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
			before.checkGone(s, cache, fmt.Sprintf("kill %d, %s, %s", n, phase, victim))
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

// TestOrphanedStart kills oci2bwrap when its child has not asked yet to die with
// it. In a pid namespace of its own the child can't see that its parent is gone;
// the init does, by its socket, and the command never starts.
func TestOrphanedStart(t *testing.T) {
	needImages(t)
	needs(t, "strace")
	for _, flags := range [][]string{nil, {"--init"}} {
		eachBwrap(t, func(t *testing.T, bwrapDir string) {
			cache := filepath.Join(workDir(t), "cache")
			before := adopt(t, filepath.Dir(filepath.Dir(cache)))
			flags := append([]string{"--cache-dir", cache}, flags...)
			start(t, bwrapDir, "true # $MARKER", flags...).ends(0) // from here on the first child is the sandbox's
			s := prepared(t, bwrapDir, tools(), "touch /sync/ready; sleep $MARKER", flags...)
			// A new session is what the child makes right before it asks.
			strace, err := exec.LookPath("strace")
			if err != nil {
				t.Fatal(err)
			}
			s.Args = append([]string{strace, "-f", "-qq", "-o", filepath.Join(s.work, "trace"), "-e", "trace=setsid", "-e", "inject=setsid:delay_enter=500000", s.Path}, s.Args[1:]...)
			s.Path = strace
			s.begin()
			var tracee int
			eventually(t, "the sandbox is being started", func() bool {
				for _, pid := range descendants(s.Process.Pid) {
					if below := descendants(pid); program(pid) == "oci2bwrap" && len(below) == 1 && program(below[0]) == "oci2bwrap" {
						tracee = pid
					}
				}
				return tracee != 0
			})
			if err := syscall.Kill(tracee, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			before.checkGone(s, cache, "killed at the clone")
			if _, err := os.Stat(filepath.Join(s.sync, "ready")); err == nil {
				t.Error("the command has run")
			}
		})
	}
}

// program is the name of what a process runs.
func program(pid int) string {
	comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(comm))
}

// parentOf is a process's parent, 0 for one that has gone.
func parentOf(pid int) int {
	_, parent := standing(strconv.Itoa(pid))
	return parent
}

// standing gives the state and the parent of a process, or of a thread named
// PID/task/TID; "" for one that has gone.
func standing(pid string) (state string, parent int) {
	stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	i := bytes.LastIndexByte(stat, ')')
	if err != nil || i < 0 {
		return "", 0
	}
	fields := strings.Fields(string(stat[i+1:]))
	if len(fields) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(fields[1])
	return fields[0], parent
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
