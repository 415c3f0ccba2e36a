package e2e_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// enter runs a command in the sandbox, and gives its output and status.
func (s *sandbox) enter(flags []string, args ...string) (stdout, stderr string, status int) {
	s.t.Helper()
	cmd := s.entering(flags, args...)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	failure := cmd.Run()
	if exit := (*exec.ExitError)(nil); failure != nil && !errors.As(failure, &exit) {
		s.t.Fatal(failure)
	}
	return out.String(), err.String(), cmd.ProcessState.ExitCode()
}

func (s *sandbox) entering(flags []string, args ...string) *exec.Cmd {
	words := append([]string{"exec"}, flags...)
	words = append(words, strconv.Itoa(s.Process.Pid))
	cmd := exec.Command(s.Path, append(words, args...)...)
	cmd.Env = append([]string{"TERM=vt220"}, s.Env...)
	return cmd
}

// entered waits until the sandbox is one that can be entered.
func (s *sandbox) entered() {
	s.t.Helper()
	s.ready()
	eventually(s.t, "the sandbox can be entered", func() bool {
		_, _, status := s.enter(nil, "true")
		return status == 0
	})
}

// TestExec runs commands beside that of a sandbox.
func TestExec(t *testing.T) {
	needImages(t)
	const status = `grep -h -e Uid -e Gid -e Groups -e Cap -e NoNewPrivs -e Seccomp: /proc/$1/status; ulimit -n; umask; cat /proc/$1/oom_score_adj`
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		for _, flags := range []string{"", "--init", "-u 7:8", "--userns single -u 7:8", "--ulimit nofile=100:200 --umask 027 --oom-score-adj 300 --network none"} {
			t.Run("as the command with "+flags, func(t *testing.T) {
				s := start(t, bwrapDir, "cd /; set -- self; { "+status+"; pwd; env | sort; } >/tmp/own; touch /sync/ready /tmp/mine; exec sleep $MARKER", append(strings.Fields(flags), "-q", "-e", "A=b c")...)
				s.entered()
				out, stderr, code := s.enter(nil, "sh", "-c", "cd /; set -- self; { "+status+"; pwd; env | sort; } >/tmp/other; cmp /tmp/own /tmp/other && for n in user mnt pid net ipc uts cgroup; do [ \"$(readlink /proc/self/ns/$n)\" = \"$(readlink /proc/1/ns/$n)\" ] || echo $n differs; done; ls /tmp && echo same; ls /proc/self/fd; exit 4")
				if want := "mine\nother\nown\nsame\n0\n1\n2\n3\n"; out != want || stderr != "" || code != 4 {
					t.Errorf("%q, %q, status %d; want %q, 4", out, stderr, code, want)
				}
			})
		}
		t.Run("flags and failures", func(t *testing.T) {
			s := start(t, bwrapDir, "touch /sync/ready; exec sleep $MARKER", "-q")
			s.entered()
			for _, test := range []struct {
				flags, args    []string
				stdout, stderr string
				status         int
			}{
				{[]string{"-e", "X=1", "-e", "GREETING=other", "-w", "/etc"}, []string{"sh", "-c", "echo $X $GREETING; pwd"}, "1 other\n/etc\n", "", 0},
				{nil, []string{"--", "echo", "-u"}, "-u\n", "", 0},
				{[]string{"-e", "=x"}, []string{"true"}, "", "oci2bwrap: --env: \"=x\" has no name\n", 125},
				{nil, []string{"nothing"}, "", "oci2bwrap: exec \"nothing\": not found in PATH (/bin)\n", 127},
				{nil, []string{"/usr/data"}, "", "oci2bwrap: exec \"/usr/data\": permission denied\n", 126},
				{[]string{"-w", "/no"}, []string{"true"}, "", "oci2bwrap: process.cwd: /no: no such file or directory\n", 125},
				{nil, []string{"sh", "-c", "kill -9 $$"}, "", "", 137},
				{[]string{"-u", "nobody-here"}, []string{"true"}, "", "no user \"nobody-here\"", 125},
				{[]string{"-q", "-t"}, []string{"sh", "-c", "tty; echo $TERM"}, "/dev/pts/0\r\nvt220\r\n", "", 0},
			} {
				out, stderr, code := s.enter(test.flags, test.args...)
				if out != test.stdout || !strings.Contains(stderr, test.stderr) || (test.stderr == "") != (stderr == "") || code != test.status {
					t.Errorf("%q %q: %q, %q, status %d; want %q, %q, %d", test.flags, test.args, out, stderr, code, test.stdout, test.stderr, test.status)
				}
			}
			if os.Getuid() == 0 {
				if out, _, code := s.enter([]string{"-u", "app"}, "sh", "-c", "id -u; id -G; echo $HOME; grep CapEff /proc/self/status"); code != 0 || !strings.HasPrefix(out, "1234\n1234 4001 4002\n") || !strings.HasSuffix(out, "0000000000000000\n") {
					t.Errorf("as app: %q, %d", out, code)
				}
			}
		})
		t.Run("signals", func(t *testing.T) {
			s := start(t, bwrapDir, "touch /sync/ready; exec sleep $MARKER", "-q")
			s.entered()
			cmd := s.entering(nil, "sh", "-c", "trap 'exit 9' USR2; touch /sync/go; while :; do sleep 0.05; done")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the command runs", func() bool { _, err := os.Stat(s.sync + "/go"); return err == nil })
			_ = cmd.Process.Signal(syscall.SIGUSR2)
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != 9 {
				t.Errorf("status %d, want 9", code)
			}
		})
		t.Run("the end", func(t *testing.T) {
			s := start(t, bwrapDir, "touch /sync/ready; exec sleep $MARKER", "-q", "--stop-timeout", "0")
			s.entered()
			killed := s.entering(nil, "sleep", s.marker+"1")
			left := s.entering(nil, "sleep", s.marker+"2")
			for _, cmd := range []*exec.Cmd{killed, left} {
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "the commands run", func() bool {
				n := 0
				for _, args := range processes(s.marker) {
					if strings.HasPrefix(args, "sleep ") {
						n++
					}
				}
				return n == 3
			})
			_ = killed.Process.Kill() // takes its own command along
			_ = killed.Wait()
			eventually(t, "its command has ended", func() bool { return len(processes(s.marker+"1")) == 0 })
			s.signal(syscall.SIGTERM) // and the sandbox's end all others
			s.ends(137)
			_ = left.Wait()
			if code := left.ProcessState.ExitCode(); code != 137 {
				t.Errorf("status %d, want 137", code)
			}
		})
	})
}

// TestExecElsewhere names processes that are no sandbox.
func TestExecElsewhere(t *testing.T) {
	for _, test := range []struct{ pid, want string }{
		{strconv.Itoa(os.Getpid()), "is no sandbox of oci2bwrap"},
		{"4194305", "no process 4194305"},
		{"x", `"x" is no process id`},
		{"-1", "unknown shorthand flag"},
	} {
		out, err := exec.Command(shared("bin/oci2bwrap"), "exec", test.pid, "true").CombinedOutput()
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 125 || !strings.Contains(string(out), test.want) {
			t.Errorf("%s: %v, %s", test.pid, err, out)
		}
	}
}

// TestExecWindow holds a process that exec adds where it has the command's rights
// and not yet its filter. The sandbox's command looks for one there, and whether
// it may read and write its memory, as a tracer could.
func TestExecWindow(t *testing.T) {
	needImages(t)
	needs(t, "strace")
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		s := start(t, bwrapDir, `touch /sync/ready
while :; do for p in /proc/[0-9]*; do
	if [ $p != /proc/1 ] && grep -q "^Seccomp:.0" $p/status && [ "$(grep ^CapPrm $p/status)" = "$(grep ^CapPrm /proc/1/status)" ]; then
		if (: <>$p/mem) && grep -q "^Seccomp:.0" $p/status; then touch /sync/reached; fi
		touch /sync/seen
	fi
done 2>/dev/null; done # $MARKER`, "-q", "--stop-timeout", "0")
		s.entered()
		for _, name := range []string{"seen", "reached"} {
			_ = os.Remove(s.sync + "/" + name) // by chance, while it was entered
		}
		cmd := s.entering(nil, "true")
		strace, err := exec.LookPath("strace")
		if err != nil {
			t.Fatal(err)
		}
		cmd.Args = append([]string{strace, "-f", "-qq", "-o", s.work + "/trace", "-e", "trace=seccomp", "-e", "inject=seccomp:delay_enter=2000000", cmd.Path}, cmd.Args[1:]...)
		cmd.Path = strace
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if _, err := os.Stat(s.sync + "/seen"); err != nil {
			t.Error("the process was not seen without its filter")
		}
		if _, err := os.Stat(s.sync + "/reached"); err == nil {
			t.Error("the sandbox's command could reach into the process before it had its filter")
		}
		s.signal(syscall.SIGTERM)
		s.ends(137)
	})
}
