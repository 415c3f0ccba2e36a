package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestTerminal works in a shell at a terminal of its own.
func TestTerminal(t *testing.T) {
	needImages(t)
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		for _, flag := range []string{"-it", "-it --init"} {
			t.Run("a shell with "+flag, func(t *testing.T) { useShell(t, bwrapDir, strings.Fields(flag)...) })
		}
		t.Run("the end of the input", func(t *testing.T) {
			p := newTerminal(t)
			before := p.settings()
			p.run(bwrapDir, "-t", shared("images/tools"), "cat")
			p.typed("a line\n")
			p.expect(`a line\r\na line\r\n`)
			p.typed("\x04")
			p.ends(0, before)
		})
		t.Run("another user's", func(t *testing.T) {
			p := newTerminal(t)
			before := p.settings()
			p.run(bwrapDir, "-q", "-t", "-u", "7", shared("images/tools"), "sh", "-c", "stat -c owner=%u /dev/pts/0 /dev/console; echo written >/dev/tty; exec 3<>/dev/pts/0; echo $?")
			p.expect(`owner=7\r\nowner=7\r\nwritten\r\n0\r\n`)
			p.ends(0, before)
		})
		t.Run("no such command", func(t *testing.T) {
			p := newTerminal(t)
			before := p.settings()
			p.run(bwrapDir, "-t", shared("images/tools"), "nothing")
			p.expect(`oci2bwrap: exec "nothing": not found in PATH`)
			p.ends(127, before)
		})
	})
}

// useShell works in a shell as a person does.
func useShell(t *testing.T, bwrapDir string, flags ...string) {
	t.Helper()
	p := newTerminal(t)
	before := p.settings()
	p.run(bwrapDir, append(flags, shared("images/tools"), "sh", "-i")...)
	p.expect(`# `)
	p.typed("tty; stty size; echo TERM=$TERM; test -c /dev/console && echo con''sole\n")
	p.expect(`/dev/pts/0\r\n33 99\r\nTERM=vt220\r\nconsole\r\n`)

	p.typed("sh -c 'echo u\"\"p; exec sleep 1000'\n") // stopped, put to the background and back, interrupted
	p.expect(`up\r\n`)                                // by now it is in the foreground
	p.typed("\x1a")
	p.expect(`Stopped +sh -c .*sleep 1000`)
	p.typed("bg\n")
	p.expect(`\[1\] sh -c .*sleep 1000.*\r\n`)
	p.typed("until jobs | grep Running; do sleep 0.01; done\n") // busybox shows nothing at times just after bg
	p.expect(`Running +sh -c .*sleep 1000`)
	p.typed("fg\n")
	p.expect(`fg\r\nsh -c .*sleep 1000.*\r\n`)
	time.Sleep(50 * time.Millisecond)
	p.typed("\x03")
	p.typed("echo status=$?\n")
	p.expect(`status=130`)

	p.resize(40, 120)
	p.typed("until stty size | grep '40 120'; do sleep 0.01; done\n")
	p.expect(`40 120\r\n`)
	p.typed("exit 7\n")
	p.ends(7, before)
}

// TestTerminalInterrupt ends commands that have no handler for the interrupt
// key, and those that have one.
func TestTerminalInterrupt(t *testing.T) {
	needImages(t)
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		for _, test := range []struct {
			name, script, key string
			status            int
		}{
			{"no handler", "echo ready; exec sleep 1000", "\x03", 130},
			{"a handler", "trap 'exit 9' INT; echo ready; while :; do sleep 0.05; done", "\x03", 9},
			{"quit", "trap 'exit 8' QUIT; echo ready; while :; do sleep 0.05; done", "\x1c", 8},
			{"a raw terminal", "stty raw; echo ready; head -c 1 | od -An -tx1; exit 4", "\x03", 4},
		} {
			t.Run(test.name, func(t *testing.T) {
				p := newTerminal(t)
				before := p.settings()
				p.run(bwrapDir, "-t", shared("images/tools"), "sh", "-c", test.script)
				p.expect("ready")
				time.Sleep(50 * time.Millisecond)
				p.typed(test.key)
				p.ends(test.status, before)
			})
		}
	})
}

// TestTerminalSignals sends oci2bwrap signals while its terminal is raw.
func TestTerminalSignals(t *testing.T) {
	needImages(t)
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		for _, test := range []struct {
			signal syscall.Signal
			status int
		}{{syscall.SIGTERM, 42}, {syscall.SIGHUP, 42}, {syscall.SIGINT, 44}} {
			t.Run(test.signal.String(), func(t *testing.T) {
				p := newTerminal(t)
				before := p.settings()
				p.run(bwrapDir, "-t", shared("images/tools"), "sh", "-c", "trap 'exit 42' USR1; trap 'exit 44' INT; echo ready; while :; do sleep 0.05; done")
				p.expect("ready")
				if p.settings() == before {
					t.Error("the terminal is not raw")
				}
				_ = p.Process.Signal(test.signal)
				p.ends(test.status, before)
			})
		}
		t.Run("outlived", func(t *testing.T) {
			p := newTerminal(t)
			before := p.settings()
			p.run(bwrapDir, "-t", "--stop-timeout", "1", shared("images/tools"), "sh", "-c", "trap '' USR1; echo ready; while :; do sleep 0.05; done")
			p.expect("ready")
			_ = p.Process.Signal(syscall.SIGTERM)
			p.expect(`was killed \(--stop-timeout, --stop-signal\)\r\n`) // as in a terminal that is not raw
			p.ends(137, before)
		})
		t.Run("a new size", func(t *testing.T) {
			p := newTerminal(t)
			before := p.settings()
			p.run(bwrapDir, "-t", shared("images/tools"), "sh", "-c", "trap 'stty size; exit 6' WINCH; echo ready; while :; do sleep 0.05; done")
			p.expect("ready")
			p.resize(40, 120)
			p.expect("40 120")
			p.ends(6, before)
		})
		t.Run("stopped and continued", func(t *testing.T) {
			p := newTerminal(t)
			before := p.settings()
			p.run(bwrapDir, "-t", shared("images/tools"), "sh", "-c", "echo ready; read line; echo got $line")
			p.expect("ready")
			raw := p.settings()
			_ = p.Process.Signal(syscall.SIGTSTP)
			eventually(t, "oci2bwrap has stopped", func() bool { return state(p.Process.Pid) == "T" })
			if p.settings() != before {
				t.Error("it left the terminal raw")
			}
			_ = p.Process.Signal(syscall.SIGCONT)
			eventually(t, "the terminal is raw again", func() bool { return p.settings() == raw })
			p.typed("x\n")
			p.expect("got x")
			p.ends(0, before)
		})
		t.Run("killed", func(t *testing.T) {
			p := newTerminal(t)
			marker := fmt.Sprintf("86397.%d", time.Now().UnixNano())
			p.run(bwrapDir, "-it", shared("images/tools"), "sh", "-c", "sleep "+marker+" & echo ready; exec sleep "+marker)
			p.expect("ready")
			_ = p.Process.Kill()
			_ = p.Wait()
			eventually(t, "no process is left", func() bool { return len(processes(marker)) == 0 })
		})
	})
}

// state is the letter that proc(5) gives the process.
func state(pid int) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(data), ") ")
	letter, _, _ := strings.Cut(rest, " ")
	return letter
}

// TestTerminalPiped has -t where the caller's streams are none.
func TestTerminalPiped(t *testing.T) {
	needImages(t)
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		run := func(t *testing.T, stdin string, args ...string) (string, error) {
			t.Helper()
			cmd := exec.CommandContext(t.Context(), "timeout", append([]string{"-k", "1", "20", shared("bin/oci2bwrap"), "run", "-q", "-t", shared("images/tools")}, args...)...)
			cmd.Env = environment(t, bwrapDir, workDir(t))
			cmd.Stdin = strings.NewReader(stdin)
			out, err := cmd.Output()
			return string(out), err
		}
		for _, stdin := range []string{"a line\n", "a piece", ""} {
			out, err := run(t, stdin, "sh", "-c", "stty -echo; echo =; cat; echo .")
			want := "=\r\n" + strings.ReplaceAll(stdin, "\n", "\r\n") + ".\r\n"
			if i := strings.Index(out, "="); err != nil || i < 0 || out[i:] != want {
				t.Errorf("%q: %q, %v; want %q", stdin, out, err, want)
			}
		}
		// Nothing of the output is lost at the end.
		out, err := run(t, "", "sh", "-c", "seq 1 30000; exit 5")
		if lines := strings.Count(out, "\r\n"); lines != 30000 || !strings.HasSuffix(out, "\r\n30000\r\n") || err == nil {
			t.Errorf("%d lines, %v", lines, err)
		}
		// A reader that goes takes the command with it.
		cmd := exec.CommandContext(t.Context(), "sh", "-c", `"$0" run -q -t --stop-timeout 1 "$1" sh -c 'while :; do echo y; done' | head -n 1`, shared("bin/oci2bwrap"), shared("images/tools"))
		cmd.Env = environment(t, bwrapDir, workDir(t))
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != "y\r\n" {
			t.Errorf("%q, %v", out, err)
		}
	})
}

// TestTerminalOfBundle takes the terminal and its size from config.json.
func TestTerminalOfBundle(t *testing.T) {
	needImages(t)
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		work := workDir(t)
		bundle := filepath.Join(work, "bundle")
		oci2bwrap := func(args ...string) (string, error) {
			cmd := exec.CommandContext(t.Context(), shared("bin/oci2bwrap"), args...)
			cmd.Env = environment(t, bwrapDir, work)
			out, err := cmd.CombinedOutput()
			return string(out), err
		}
		if out, err := oci2bwrap("unpack", shared("images/tools"), bundle); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		config := filepath.Join(bundle, "config.json")
		data, err := os.ReadFile(config)
		if err != nil {
			t.Fatal(err)
		}
		with := strings.Replace(string(data), `"process": {`, `"process": {"terminal": true, "consoleSize": {"height": 12, "width": 34},`, 1)
		if err := os.WriteFile(config, []byte(with), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := oci2bwrap("run", "-q", bundle, "sh", "-c", "tty; stty size"); err != nil || !strings.HasSuffix(out, "/dev/pts/0\r\n12 34\r\n") {
			t.Errorf("%q, %v", out, err)
		}
	})
}
