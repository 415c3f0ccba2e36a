package runner

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// warden is a process of ours beside a sandbox whose pid namespace is not its
// own, so that no process 1 of the sandbox's takes the others along. It ends
// all that is in the sandbox's control group once this process is gone,
// however that went.
type warden struct {
	pid   int
	alive *os.File // its end tells the warden
}

// enterCgroup makes the sandbox's control group, and the warden that a joined
// pid namespace needs.
func (l *launch) enterCgroup(s *Sandbox) (err error) {
	if l.Command.Cgroup == nil {
		return nil
	}
	if s.cgroup, err = makeCgroup(l.Command.Cgroup, l.pidns != nil); err != nil {
		return err
	}
	l.attr.UseCgroupFD, l.attr.CgroupFD = true, int(s.cgroup.Fd())
	if l.pidns != nil {
		if s.warden, err = startWarden(s.cgroup); err != nil {
			return fmt.Errorf("%s: %w", l.pidns.Field, err)
		}
	}
	return nil
}

// leaveCgroup removes the sandbox's control group, with what is left in it
// where the end of bubblewrap is not the end of all.
func (s *Sandbox) leaveCgroup() {
	switch {
	case s.cgroup == nil:
	case s.warden != nil:
		endCgroup(s.cgroup)
		s.warden.dismiss()
	default:
		removeCgroup(s.cgroup)
	}
}

// startWarden starts the one of a control group, before anything is in it.
func startWarden(group *os.File) (*warden, error) {
	if err := unix.Faccessat(int(group.Fd()), killFile, unix.W_OK, 0); err != nil {
		return nil, fmt.Errorf("control group: %s, by which all in it can be ended (Linux 5.14): %w", killFile, err)
	}
	r, alive, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		alive.Close()
		return nil, err
	}
	defer null.Close()
	// A session of its own keeps a terminal's signals from it.
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"oci2bwrap", wardenWord, group.Name()}, &syscall.ProcAttr{
		Dir: "/", Env: childEnv, Files: []uintptr{r.Fd(), null.Fd(), null.Fd(), group.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		alive.Close()
		return nil, fmt.Errorf("start the control group's warden: %w", err)
	}
	return &warden{pid: pid, alive: alive}, nil
}

// dismiss ends the warden.
func (w *warden) dismiss() {
	if w == nil {
		return
	}
	w.alive.Close()
	for {
		if _, err := syscall.Wait4(w.pid, nil, 0, nil); err != syscall.EINTR {
			return
		}
	}
}

// wardenMain is the warden: stdin ends with who started it, and 3 is the
// control group args[0].
func wardenMain(args []string) int {
	if len(args) != 1 {
		return 125
	}
	awaitStart(0) // which never comes
	endCgroup(os.NewFile(3, args[0]))
	return 0
}

// endAbandoned ends what is in the group of a sandbox whose oci2bwrap and warden
// were both killed, as their lock says: a maker that is not in sight can live in
// another pid namespace.
func endAbandoned(dir string) {
	group, err := os.Open(dir)
	if err != nil {
		return
	}
	defer group.Close()
	if unix.Flock(int(group.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil || writeAt(group, killFile, "1") != nil {
		return
	}
	for range 100 { // else another run removes it
		if !populated(group) {
			removeGroups(dir)
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// killFile is the file of a control group that has the kernel kill all in it,
// whatever they fork meanwhile.
const killFile = "cgroup.kill"

// endCgroup kills all that is in a control group, waits until they are gone,
// and removes it. It may be gone already.
func endCgroup(group *os.File) {
	defer group.Close()
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		if writeAt(group, killFile, "1") != nil || !populated(group) {
			break
		}
		time.Sleep(wait) // one may wait for the disk, which no signal ends
	}
	removeGroups(group.Name())
}

func writeAt(dir *os.File, name, text string) error {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(text))
	return err
}

// populated says that a process is in the group or below it.
func populated(group *os.File) bool {
	fd, err := unix.Openat(int(group.Fd()), "cgroup.events", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	text := make([]byte, 256)
	n, _ := unix.Read(fd, text)
	return bytes.Contains(text[:max(n, 0)], []byte("populated 1"))
}

// removeGroups removes a group that has no process any more, with those that
// the sandbox has made in it.
func removeGroups(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.IsDir() {
			removeGroups(filepath.Join(dir, e.Name()))
		}
	}
	_ = unix.Rmdir(dir)
}

// inSandboxGroup says that a process is in the control group of a sandbox, as
// this one sees it. A sandbox whose pid namespace is the caller's own is known
// by that.
func inSandboxGroup(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	for line := range strings.Lines(string(data)) {
		if path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			return slices.ContainsFunc(strings.Split(path, "/"), func(name string) bool {
				_, ok := groupMaker(name)
				return ok
			})
		}
	}
	return false
}
