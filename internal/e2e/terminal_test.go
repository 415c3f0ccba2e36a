package e2e_test

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a program that runs at a terminal of its own.
type terminal struct {
	*exec.Cmd
	t      *testing.T
	in     *os.File // its stdin, if not the terminal
	master *os.File
	slave  *os.File // keeps what the program leaves to be looked at

	mu   sync.Mutex
	text bytes.Buffer
	seen int // of text, by expect
}

// newTerminal makes the terminal, 33 by 99.
func newTerminal(t *testing.T) *terminal {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 99}); err != nil {
		t.Fatal(err)
	}
	p := &terminal{t: t, master: os.NewFile(uintptr(fd), "pty")}
	p.slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.slave.Close(); p.master.Close() })
	return p
}

// run starts oci2bwrap run with the arguments at the terminal.
func (p *terminal) run(bwrapDir string, args ...string) {
	p.t.Helper()
	p.start(bwrapDir, append([]string{"run"}, args...)...)
}

// start starts oci2bwrap with the arguments at the terminal.
func (p *terminal) start(bwrapDir string, args ...string) {
	p.t.Helper()
	work := workDir(p.t)
	p.Cmd = exec.Command(shared("bin/oci2bwrap"), args...)
	p.Env = append(environment(p.t, bwrapDir, work), "TERM=vt220")
	p.Stdin, p.Stdout, p.Stderr = cmp.Or(p.in, p.slave), p.slave, p.slave
	p.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 1}
	if err := p.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := p.master.Read(buf)
			if err != nil {
				return
			}
			p.mu.Lock()
			p.text.Write(buf[:n])
			p.mu.Unlock()
		}
	}()
}

// typed sends what a person would type.
func (p *terminal) typed(s string) {
	p.t.Helper()
	if _, err := p.master.WriteString(s); err != nil {
		p.t.Fatal(err)
	}
}

// expect waits for a match in what is not yet matched of the output.
func (p *terminal) expect(pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	var found string
	deadline := time.Now().Add(patience)
	for found == "" {
		p.mu.Lock()
		text := p.text.String()
		if at := re.FindStringIndex(text[p.seen:]); at != nil {
			found = text[p.seen:][at[0]:at[1]]
			p.seen += at[1]
		}
		p.mu.Unlock()
		if time.Now().After(deadline) {
			p.t.Fatalf("no %q in %q", pattern, text[p.seen:])
		}
		time.Sleep(2 * time.Millisecond)
	}
	return found
}

func (p *terminal) resize(rows, columns uint16) {
	p.t.Helper()
	if err := unix.IoctlSetWinsize(int(p.slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		p.t.Fatal(err)
	}
}

// settings are those of the terminal, as a program would find them.
func (p *terminal) settings() unix.Termios {
	p.t.Helper()
	s, err := unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return *s
}

// ends waits for the end with status, after which the terminal must be as it
// was.
func (p *terminal) ends(status int, before unix.Termios) {
	p.t.Helper()
	timer := time.AfterFunc(patience, func() { _ = p.Process.Kill() })
	defer timer.Stop()
	_ = p.Wait()
	if got := p.ProcessState.ExitCode(); got != status {
		p.t.Fatalf("ended with %v, want status %d: %q", p.ProcessState, status, p.text.String())
	}
	if after := p.settings(); after != before {
		p.t.Errorf("the terminal is left as %+v, it was %+v", after, before)
	}
}
