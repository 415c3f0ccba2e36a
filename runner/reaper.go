package runner

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// reap makes the init a process 1 that stays: the command's own init is
// started as its child, which speaks to the runner in its place, and it
// becomes a reaper with the command's ids, capabilities and filter. It
// returns only with an error.
func reap(s *initSpec) error {
	child, err := startChild(*s)
	if err != nil {
		return err
	}
	reaper := initSpec{
		Args: exactly([]string{"init", reapWord, strconv.Itoa(child)}), Env: exactly(childEnv), Cwd: exact("/"),
		UID: s.UID, GID: s.GID, Groups: s.Groups, KeepIDs: s.KeepIDs, Umask: s.Umask, Caps: s.Caps, Seccomp: s.Seccomp,
		SocketFD: s.SocketFD, StderrFD: s.StderrFD, KernelCaps: s.KernelCaps,
		SelfFD: s.SelfFD, Itself: true,
	}
	return become(&reaper, -1)
}

// startChild starts this program as the init of the command.
func startChild(s initSpec) (int, error) {
	files := []uintptr{0, 1, 2, uintptr(s.SelfFD), uintptr(s.SocketFD), uintptr(s.StderrFD)}
	// Its end closes when the parent has become the reaper, or is gone.
	var become [2]int
	if err := unix.Pipe2(become[:], unix.O_CLOEXEC); err != nil {
		return 0, err
	}
	defer unix.Close(become[0])
	files = append(files, uintptr(become[0]))
	s.Reap, s.Late, s.SelfFD, s.SocketFD, s.StderrFD, s.ParentFD = false, nil, 3, 4, 5, 6
	doc, err := json.Marshal(&s)
	if err != nil {
		return 0, err
	}
	spec, err := memfd("spec", doc)
	if err != nil {
		return 0, err
	}
	defer spec.Close()
	files = append(files, spec.Fd())
	pid, err := syscall.ForkExec("/proc/self/fd/"+strconv.Itoa(s.SelfFD), []string{"init", initWord, strconv.Itoa(len(files) - 1)}, &syscall.ProcAttr{Env: childEnv, Files: files})
	if err != nil {
		return 0, fmt.Errorf("start the command's process: %w", err)
	}
	return pid, nil
}

// awaitReaper waits until the parent has become the reaper: the command must
// not meet it with the rights that it makes a sandbox with.
func awaitReaper(fd int) {
	var b [1]byte
	for {
		if _, err := unix.Read(fd, b[:]); err != unix.EINTR {
			unix.Close(fd)
			return
		}
	}
}

// reapMain is process 1 while the command runs: it passes signals on to the
// command, takes orphans, and ends as the command does, which ends all.
func reapMain(args []string) int {
	if len(args) != 1 {
		return 125
	}
	child, err := strconv.Atoi(args[0])
	if err != nil || os.Getpid() != 1 {
		return 125
	}
	// The kernel has named it after a descriptor's number.
	os.WriteFile("/proc/self/comm", []byte("init"), 0)
	signals := make(chan os.Signal, 32)
	signal.Notify(signals)
	go func() {
		for sig := range signals {
			n, ok := sig.(syscall.Signal)
			// Go's runtime uses SIGURG for itself.
			if ok && n != unix.SIGCHLD && n != unix.SIGURG && n != unix.SIGPIPE {
				unix.Kill(child, n)
			}
		}
	}()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 125
		case pid == child && status.Signaled():
			return 128 + int(status.Signal())
		case pid == child && status.Exited():
			return status.ExitStatus()
		}
	}
}
