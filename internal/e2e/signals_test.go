package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// waiting is a command that says which signal it got, by its output and status.
const waiting = `
trap 'echo got HUP; exit 41' HUP
trap 'echo got USR1; exit 42' USR1
trap 'echo got TERM; exit 43' TERM
trap 'echo got INT; exit 44' INT
trap 'echo got USR2; exit 45' USR2
trap 'echo got QUIT; exit 46' QUIT
touch /sync/ready
while :; do sleep 0.05; done # $MARKER`

// TestSignals sends oci2bwrap a signal each; the image's StopSignal is SIGUSR1.
func TestSignals(t *testing.T) {
	needImages(t)
	tests := []struct {
		send   syscall.Signal
		want   string
		status int
	}{
		{syscall.SIGTERM, "got USR1", 42},
		{syscall.SIGHUP, "got USR1", 42},
		{syscall.SIGINT, "got INT", 44},
		{syscall.SIGQUIT, "got QUIT", 46},
		{syscall.SIGUSR2, "got USR2", 45},
	}
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		for _, test := range tests {
			t.Run(test.send.String(), func(t *testing.T) {
				s := start(t, bwrapDir, waiting)
				s.ready()
				s.signal(test.send)
				s.ends(test.status)
				if got := s.out.String(); got != test.want+"\n" {
					t.Errorf("printed %q, want %q", got, test.want)
				}
			})
		}
	})
}

// TestStubborn ends commands that do not end by themselves: as pid 1 they ignore
// every signal that they have no handler for.
func TestStubborn(t *testing.T) {
	needImages(t)
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		t.Run("a second SIGINT", func(t *testing.T) {
			s := start(t, bwrapDir, "touch /sync/ready; exec sleep $MARKER")
			s.ready()
			s.signal(syscall.SIGINT)
			time.Sleep(100 * time.Millisecond)
			s.signal(syscall.SIGINT)
			s.ends(130)
		})
		t.Run("SIGINT and its time-out", func(t *testing.T) {
			s := start(t, bwrapDir, "touch /sync/ready; exec sleep $MARKER", "--stop-timeout", "1")
			s.ready()
			s.signal(syscall.SIGINT)
			s.ends(130)
		})
		t.Run("a time-out of none", func(t *testing.T) {
			s := start(t, bwrapDir, "touch /sync/ready; exec sleep $MARKER", "--stop-timeout", "0")
			s.ready()
			s.signal(syscall.SIGTERM)
			s.ends(137)
		})
		t.Run("a child of a reaper", func(t *testing.T) {
			s := start(t, bwrapDir, "touch /sync/ready; exec sleep $MARKER", "--init", "--stop-signal", "TERM")
			s.ready()
			s.signal(syscall.SIGTERM)
			s.ends(143)
		})
		t.Run("at a terminal", func(t *testing.T) {
			s := start(t, bwrapDir, "touch /sync/ready; exec sleep $MARKER", "-qt", "--stop-timeout", "1")
			s.ready()
			s.signal(syscall.SIGTERM)
			s.ends(137)
		})
		t.Run("SIGTERM and its time-out", func(t *testing.T) {
			s := start(t, bwrapDir, "touch /sync/ready; exec sleep $MARKER", "--stop-timeout", "1", "--quiet=false")
			s.ready()
			s.signal(syscall.SIGTERM)
			s.ends(137)
			const note = "oci2bwrap: note: the command had not ended 1 s after SIGUSR1, and was killed (--stop-timeout, --stop-signal)\n"
			if got := s.out.String(); !strings.Contains(got, note) {
				t.Errorf("said %q, want %q", got, note)
			}
		})
	})
}

// TestKilledCommand kills the command from outside.
func TestKilledCommand(t *testing.T) {
	needImages(t)
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		s := start(t, bwrapDir, "touch /sync/ready; exec sleep $MARKER")
		s.ready()
		command := 0
		eventually(t, "the command is among the processes", func() bool {
			for pid, args := range processes(s.marker) {
				if strings.HasPrefix(args, "sleep ") {
					command = pid
				}
			}
			return command != 0
		})
		if err := syscall.Kill(command, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		s.ends(137)
	})
}

// TestKilled kills oci2bwrap itself, in the middle of a run and at moments of its
// start: nothing that it started may outlive it.
func TestKilled(t *testing.T) {
	needImages(t)
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		t.Run("running with a reaper", func(t *testing.T) {
			s := start(t, bwrapDir, "sleep $MARKER & setsid sleep $MARKER & touch /sync/ready; exec sleep $MARKER", "--init", "-qt")
			s.ready()
			s.signal(syscall.SIGKILL)
			_ = s.Wait()
			eventually(t, "no process is left", func() bool { return len(processes(s.marker)) == 0 })
		})
		t.Run("running", func(t *testing.T) {
			s := start(t, bwrapDir, "sleep $MARKER & echo x >/var/x; touch /sync/ready; exec sleep $MARKER")
			s.ready()
			s.signal(syscall.SIGKILL)
			_ = s.Wait()
			eventually(t, "no process is left", func() bool { return len(processes(s.marker)) == 0 })

			// What a killed run had for scratch is gone with the next one.
			next := exec.Command(s.Path, "run", shared("images/tools"))
			next.Env = s.Env
			if out, err := next.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			left, err := os.ReadDir(filepath.Join(filepath.Dir(s.sync), "tmp"))
			if err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
		for _, flags := range [][]string{nil, {"--writable"}, {"--init", "-qt"}} {
			t.Run(strings.Join(append([]string{"starting"}, flags...), " "), func(t *testing.T) {
				for delay := time.Duration(0); delay < 60*time.Millisecond; delay += 4 * time.Millisecond {
					s := start(t, bwrapDir, "exec sleep $MARKER", flags...)
					time.Sleep(delay)
					s.signal(syscall.SIGKILL)
					_ = s.Wait()
					eventually(t, "no process is left", func() bool { return len(processes(s.marker)) == 0 })
				}
			})
		}
	})
}

func needImages(t *testing.T) {
	t.Helper()
	if !hasImages() {
		lacks(t, "no busybox to make images of: apt-get install busybox-static")
	}
}
