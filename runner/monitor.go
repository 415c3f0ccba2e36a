package runner

import (
	"fmt"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// fork starts bubblewrap. It is done with the bare call: os/exec would first
// start a process to see whether pidfds work.
func (s *Sandbox) fork(l *launch) (err error) {
	s.monitor = -1
	l.attr.PidFD = &s.monitor
	s.bwrap, err = syscall.ForkExec(l.path, l.argv, &syscall.ProcAttr{
		Env: l.env, Files: l.fds, Sys: l.attr,
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", l.path, err)
	}
	if s.monitor < 0 {
		// A kernel without clone's pidfd; nobody but us can have reaped it.
		s.monitor, err = unix.PidfdOpen(s.bwrap, 0)
	}
	return err
}

// reap waits for bubblewrap's end.
func (s *Sandbox) reap() {
	for {
		_, err := syscall.Wait4(s.bwrap, &s.status, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			s.reason = fmt.Errorf("wait for bubblewrap: %w", err)
		}
		s.leaveCgroup()
		close(s.ended)
		return
	}
}

// kill ends bubblewrap, and with it everything in the sandbox: it is pid 1 of
// a namespace around it, or the sandbox has asked to go with it, or what is
// left is ended when bubblewrap has been waited for.
func (s *Sandbox) kill() {
	s.fds.Lock()
	defer s.fds.Unlock()
	if s.pidfd >= 0 {
		s.Signal(unix.SIGKILL)
	}
	unix.PidfdSendSignal(s.monitor, unix.SIGKILL, nil, 0)
}

// failure is the error for a bubblewrap that ended before the init spoke: its
// own last line.
func (l *launch) failure(s *Sandbox) error {
	if l.maps != nil {
		if <-l.maps.done; l.maps.err != nil {
			return &Error{Msg: "id maps of the user namespace", Err: l.maps.err}
		}
	}
	text := strings.TrimSpace(l.said())
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	if text == "" {
		text = fmt.Sprintf("ended before the sandbox stood, with status %d", s.status.ExitStatus())
	}
	// The process in between may be what failed, and what was waited for.
	if l.pidns != nil && (strings.Contains(text, "pidns failed") || strings.Contains(text, "pid socket")) {
		return &Error{Msg: fmt.Sprintf("%s: join %q: %s", l.pidns.Field, l.pidns.Path, text), Remedy: remedyJoinPID}
	}
	if strings.HasPrefix(text, "stage:") || strings.HasPrefix(text, "init:") || strings.HasPrefix(text, "bwrap:") {
		return &Error{Msg: text, Remedy: remedy(text)}
	}
	return &Error{Msg: "bwrap: " + text, Remedy: remedy(text)}
}
