package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// output runs the sandbox and gives what it wrote to stdout and stderr, and
// its status.
func output(t *testing.T, c *Config) (stdout, stderr string, code int) {
	t.Helper()
	files := [2]*os.File{}
	for i := range files {
		f, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	c.Stdout, c.Stderr = files[0], files[1]
	s, err := Create(t.Context(), *c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	status, err := s.Wait()
	if err != nil {
		t.Fatal(err)
	}
	var text [2]string
	for i, f := range files {
		f.Seek(0, io.SeekStart)
		b, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		text[i] = string(b)
	}
	return text[0], text[1], status.Code
}

func TestRun(t *testing.T) {
	c := sandbox(t, "sh", "-c", `echo out; echo err >&2; pwd; echo $$; printenv ODD; env -u ODD | sort; exit 42`)
	stdout, stderr, code := output(t, c)
	want := "out\n/usr\n1\n\xff\n=\nPATH=/usr/bin:/bin\nPWD=/usr\n"
	if stdout != want || stderr != "err\n" || code != 42 {
		t.Errorf("stdout %q, stderr %q, status %d; want stdout %q, stderr \"err\\n\", 42", stdout, stderr, code, want)
	}
}

// What the host knows is not in the sandbox: environment, descriptors, the
// runner's own names.
func TestNothingLeaks(t *testing.T) {
	t.Setenv("SECRET", "of the host")
	dir, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	unix.FcntlInt(dir.Fd(), unix.F_SETFD, 0)
	c := sandbox(t, "sh", "-c", `cat /proc/1/environ | tr '\0' '\n'; ls /proc/self/fd; readlink /proc/1/exe; tr '\0' ' ' </proc/1/cmdline`)
	stdout, _, _ := output(t, c)
	if strings.Contains(stdout, "SECRET") || strings.Contains(stdout, "__init") || strings.Contains(stdout, "runner.test") {
		t.Errorf("the host shows: %s", stdout)
	}
	_, after, _ := strings.Cut(stdout, "ODD=\xff\n=\n")
	if !strings.HasPrefix(after, "0\n1\n2\n3\n/") { // 3 is ls reading the directory
		t.Errorf("descriptors: %q", after)
	}
}

func TestExecErrors(t *testing.T) {
	for _, test := range []struct {
		command string
		code    int
		text    string
	}{
		{"no-such-command", 127, "not found in PATH"},
		{"/no/such/file", 127, "no such file"},
		{"/etc/passwd/x", 127, "not a directory"},
		{"/etc/passwd", 126, "permission denied"},
		{"/etc", 126, "permission denied"},
		{"", 127, "empty"},
	} {
		s, err := Create(t.Context(), *sandbox(t, test.command))
		if err != nil {
			t.Fatal(err)
		}
		var e *ExecError
		if err := s.Start(); !errors.As(err, &e) || e.Code != test.code || !strings.Contains(e.Msg, test.text) {
			t.Errorf("%q: %v, want code %d and %q", test.command, err, test.code, test.text)
		}
		s.Close()
	}
}

// Created is a state of its own: nothing runs before Start, and a sandbox
// that is never started leaves nothing.
func TestCreated(t *testing.T) {
	s, err := Create(t.Context(), *sandbox(t, "true"))
	if err != nil {
		t.Fatal(err)
	}
	pid := s.PID()
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !strings.Contains(string(cmdline), initWord) {
		t.Errorf("before Start pid 1 is %q, %v", cmdline, err)
	}
	s.Close()
	if unix.Kill(pid, 0) == nil {
		t.Errorf("process %d is left", pid)
	}
	if err := s.Start(); err == nil {
		t.Error("Start after Close has no error")
	}
}

func TestContextEndsCreation(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s, err := Create(ctx, *sandbox(t, "true"))
	if err == nil {
		s.Close() // it was quicker
	} else if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

func TestFailureNamesBubblewrapsReason(t *testing.T) {
	c := sandbox(t, "true")
	c.Command.Options = append(c.Command.Options, c.Command.Options[0][:0:0])
	last := c.Command.Options[0]
	last[0].Text = "--no-such-option"
	_, err := Create(t.Context(), *c)
	if err == nil || !strings.Contains(err.Error(), "no-such-option") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v, want bubblewrap's on one line", err)
	}
}

func TestSupervise(t *testing.T) {
	for _, test := range []struct {
		name, script string
		signals      []os.Signal
		policy       Policy
		code         int
	}{
		{"handled", `trap "exit 9" TERM; echo; sleep 1000 & wait`, []os.Signal{unix.SIGTERM}, Policy{}, 9},
		{"stop signal", `trap "exit 8" USR1; echo; sleep 1000 & wait`, []os.Signal{unix.SIGHUP}, Policy{StopSignal: unix.SIGUSR1}, 8},
		{"as it is", `trap "exit 7" USR2; echo; sleep 1000 & wait`, []os.Signal{unix.SIGUSR2}, Policy{}, 7},
		{"interrupt handled", `trap "exit 6" INT; echo; sleep 1000 & wait`, []os.Signal{unix.SIGINT}, Policy{}, 6},
		{"interrupt not handled", `echo; exec sleep 1000`, []os.Signal{unix.SIGINT}, Policy{}, 130},
		{"second interrupt", `trap "" INT; echo; exec sleep 1000`, []os.Signal{unix.SIGINT, unix.SIGINT}, Policy{}, 130},
		{"timeout", `trap "" TERM; echo; exec sleep 1000`, []os.Signal{unix.SIGTERM}, Policy{StopTimeout: time.Millisecond}, 137},
		{"killed from inside", `echo; sh -c 'kill -9 -1'; exit 5`, nil, Policy{}, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			c := sandbox(t, "sh", "-c", test.script)
			c.Stdout = w
			s, err := Create(t.Context(), *c)
			w.Close()
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			r.Read(make([]byte, 1)) // the script has set its traps
			for range 2000 {
				if !strings.Contains(test.script, "echo; exec sleep 1000") || comm(s.PID()) == "sleep" {
					break
				}
				time.Sleep(time.Millisecond)
			}
			signals := make(chan os.Signal, 4)
			for _, sig := range test.signals {
				signals <- sig
			}
			status, err := s.Supervise(signals, test.policy)
			if err != nil || status.Code != test.code {
				t.Errorf("status %d, %v; want %d", status.Code, err, test.code)
			}
		})
	}
}

// comm is the name of the program that a process runs.
func comm(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(b))
}

// Killing the runner at any moment leaves no process.
func TestKilled(t *testing.T) {
	sandbox(t, "true")
	marker := fmt.Sprintf("98%d", os.Getpid())
	for i := range 30 {
		cmd := exec.Command("/proc/self/exe", "victim", marker)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i) * 2 * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
	}
	var left string
	for range 100 {
		if left = processes(t, marker); left == "" {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("left: %s", left)
}

// processes lists the command lines that hold the marker, but our own.
func processes(t *testing.T, marker string) string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range files {
		b, _ := os.ReadFile(f)
		if line := strings.ReplaceAll(string(b), "\x00", " "); strings.Contains(line, marker) {
			found = append(found, line)
		}
	}
	return strings.Join(found, "; ")
}

// TestContextEnds ends the context of a sandbox at each of its stages: nothing
// of it may be left, and Wait says why.
func TestContextEnds(t *testing.T) {
	for _, stage := range []string{"created", "running"} {
		t.Run(stage, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s, err := Create(ctx, *sandbox(t, "sh", "-c", "trap '' TERM; sleep 1000 & wait"))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if stage == "running" {
				if err := s.Start(); err != nil {
					t.Fatal(err)
				}
			}
			begin := time.Now()
			cancel()
			status, err := s.Wait()
			if !errors.Is(err, context.Canceled) || status.Code == 0 || time.Since(begin) > 10*time.Second {
				t.Errorf("status %d, error %v after %v", status.Code, err, time.Since(begin))
			}
			if err := unix.Kill(s.PID(), 0); !errors.Is(err, unix.ESRCH) {
				t.Errorf("process %d is still there: %v", s.PID(), err)
			}
		})
	}
	t.Run("ended", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s, err := Create(ctx, *sandbox(t, "sh", "-c", "exit 3"))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		if status, err := s.Wait(); err != nil || status.Code != 3 {
			t.Errorf("status %d, %v", status.Code, err)
		}
		cancel()
		if status, err := s.Wait(); err != nil || status.Code != 3 {
			t.Errorf("after the context's end: status %d, %v", status.Code, err)
		}
	})
}
