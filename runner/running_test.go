package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// forge holds a record as a run does, of a process that is none of its own.
func forge() int {
	doc, err := json.Marshal(&record{Version: recordVersion, PID: 1})
	if err != nil {
		return 1
	}
	if _, err := memfd(recordName, doc); err != nil {
		return 1
	}
	fmt.Println("ready")
	time.Sleep(time.Hour)
	return 0
}

// startForger starts a process that forges, in a pid namespace of its own
// where apart is set.
func startForger(t *testing.T, apart bool) int {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "forger")
	if apart {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
		if os.Geteuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		}
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if _, err := out.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

// A record is believed of a process like ours, never of one in a sandbox,
// which could name any process of the host.
func TestForgedRecord(t *testing.T) {
	sandbox(t, "true")
	r, err := readRecord(startForger(t, false))
	if err != nil || r == nil || r.PID != 1 {
		t.Errorf("of a process of ours: %+v, %v", r, err)
	}
	pid := startForger(t, true)
	if r, err := readRecord(pid); err != nil || r != nil {
		t.Errorf("of a process in a pid namespace: %+v, %v", r, err)
	}
	if r, err := Open(pid); r != nil || err == nil || !strings.Contains(err.Error(), "no sandbox") {
		t.Errorf("Open: %+v, %v", r, err)
	}
}

// A record outlives neither the command nor the command's number.
func TestRecordOfEndedCommand(t *testing.T) {
	start, err := startTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if r, err := (&record{PID: os.Getpid(), Start: start}).open(); err != nil {
		t.Error(err)
	} else {
		r.Close()
	}
	if _, err := (&record{PID: os.Getpid(), Start: start + 2}).open(); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("of another start: %v", err)
	}
}

// TestExec starts processes in a sandbox, by what Open finds.
func TestExec(t *testing.T) {
	c := sandbox(t, "sh", "-c", "exec sleep 1000")
	s, err := Create(t.Context(), *c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	for range 50 { // each leaves nothing behind
		running, err := Open(s.PID())
		if err != nil {
			t.Fatal(err)
		}
		p := running.Process()
		p.Args = []string{"sh", "-c", "test -d /proc/1 && exit 5"}
		visitor, err := running.Exec(t.Context(), ExecConfig{Process: p})
		if err != nil {
			t.Fatal(err)
		}
		if err := visitor.Start(); err != nil {
			t.Fatal(err)
		}
		status, err := visitor.Wait()
		visitor.Close()
		running.Close()
		if err != nil || status.Code != 5 {
			t.Fatalf("status %d, %v; want 5", status.Code, err)
		}
	}
	running, err := s.Running()
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close()
	p := running.Process()
	p.Args = []string{"no-such-command"}
	visitor, err := running.Exec(t.Context(), ExecConfig{Process: p})
	if err != nil {
		t.Fatal(err)
	}
	defer visitor.Close()
	var e *ExecError
	if err := visitor.Start(); !errors.As(err, &e) || e.Code != 127 {
		t.Errorf("%v, want code 127", err)
	}
	s.Close()
	if _, err := running.Exec(t.Context(), ExecConfig{Process: p}); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("in a sandbox that has ended: %v", err)
	}
}
