package runner

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Entry is a user namespace to be made, in which this program runs once more.
type Entry struct {
	Map  IDMap
	Args []string // the program's own, without its name
	Path string   // PATH, to find newuidmap and newgidmap in

	// Direct writes the maps without these two, which the kernel allows to who
	// has the capabilities CAP_SETUID and CAP_SETGID for the ids.
	Direct bool
}

// Entered is this program in its new user namespace, about to begin.
type Entered struct {
	pid, pidfd int
	ended      chan syscall.WaitStatus
	stopped    chan struct{}
}

// Enter starts this program again, with the arguments of e, as root of a new
// user namespace that has a mount namespace of its own; Main is where it comes
// in. The child has the standard streams, environment and working directory of
// this process and a session of its own, so that a terminal's signals reach it
// through Supervise alone. It dies with this process.
//
// An *Error says that there is no such namespace, or that newuidmap or
// newgidmap refused; then nothing is left of the child.
func (e Entry) Enter() (*Entered, error) {
	var writers [2]*mapWriter
	for i, w := range [2]mapWriter{
		{program: "newuidmap", file: "uid_map", lines: e.Map.UIDs},
		{program: "newgidmap", file: "gid_map", lines: e.Map.GIDs},
	} {
		if !e.Direct {
			path, err := FindMapper(e.Path, w.program)
			if err != nil {
				return nil, err
			}
			w.path = path
		}
		writers[i] = &w
	}
	r, release, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer release.Close()
	child := &Entered{pidfd: -1, ended: make(chan syscall.WaitStatus, 1), stopped: make(chan struct{}, 1)}
	err = child.start(e.Args, r)
	r.Close()
	if err != nil {
		return nil, &Error{Msg: "new user namespace", Err: err, Remedy: namespaceRemedy("/proc", err)}
	}
	if err := child.identify(writers); err != nil {
		child.Signal(unix.SIGKILL)
		<-child.ended
		unix.Close(child.pidfd)
		return nil, err
	}
	if _, err := release.Write([]byte{'s'}); err != nil && !errors.Is(err, unix.EPIPE) {
		return nil, fmt.Errorf("start in the user namespace: %w", err)
	}
	return child, nil
}

// start forks from a thread that lives as long as the child, whose
// parent-death signal comes when that thread ends. While no id is mapped,
// exec would take the child's capabilities, but for ambient ones.
func (c *Entered) start(args []string, release *os.File) error {
	argv := append([]string{"oci2bwrap", enterWord, "3", strconv.Itoa(os.Getpid())}, args...)
	attr := &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS, Setsid: true, Pdeathsig: syscall.SIGKILL,
		AmbientCaps: knownCaps(), PidFD: &c.pidfd,
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked
		pid, err := syscall.ForkExec("/proc/self/exe", argv, &syscall.ProcAttr{
			Env: os.Environ(), Files: []uintptr{0, 1, 2, release.Fd()}, Sys: attr,
		})
		if err == nil && c.pidfd < 0 {
			c.pidfd, err = unix.PidfdOpen(pid, 0)
		}
		c.pid = pid
		started <- err
		if err == nil {
			c.wait()
		}
	}()
	return <-started
}

func knownCaps() []uintptr {
	var caps []uintptr
	for c := uintptr(0); c < 64; c++ {
		if _, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0); err != nil {
			break
		}
		caps = append(caps, c)
	}
	return caps
}

// wait reports each stop of the child, and its end.
func (c *Entered) wait() {
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(c.pid, &status, syscall.WUNTRACED, nil)
		switch {
		case err == syscall.EINTR:
		case err == nil && status.Stopped():
			select {
			case c.stopped <- struct{}{}:
			default:
			}
		default:
			c.ended <- status
			return
		}
	}
}

// identify has both maps written, at the same time.
func (c *Entered) identify(writers [2]*mapWriter) error {
	for _, w := range writers {
		if err := w.start(c.pid); err != nil {
			return err
		}
	}
	var errs [2]error
	for i, w := range writers {
		errs[i] = w.wait()
	}
	if errs[0] != nil {
		return errs[0]
	}
	return errs[1]
}

// Signal sends the child a signal. One that has ended is no error.
func (c *Entered) Signal(sig syscall.Signal) error {
	if err := unix.PidfdSendSignal(c.pidfd, sig, nil, 0); !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

// Supervise passes the signals on as they are until the child has ended, and
// gives its exit status, or 128+n when signal n killed it. When the child
// stops, this process does too, as the shell that started it expects.
func (c *Entered) Supervise(signals <-chan os.Signal) (int, error) {
	defer unix.Close(c.pidfd)
	for {
		select {
		case status := <-c.ended:
			if status.Signaled() {
				return 128 + int(status.Signal()), nil
			}
			return status.ExitStatus(), nil
		case <-c.stopped:
			stop()
			if err := c.Signal(unix.SIGCONT); err != nil {
				return 0, err
			}
		case sig := <-signals:
			n, ok := sig.(syscall.Signal)
			if !ok {
				continue
			}
			if err := c.Signal(n); err != nil {
				return 0, fmt.Errorf("pass %s on: %w", n, err)
			}
		}
	}
}

// mapWriter writes one of the maps of a process, by the set-id program for it
// or directly.
type mapWriter struct {
	program, file string
	path          string // of the program; "" to write directly
	lines         []syscall.SysProcIDMap

	pid  int
	said *os.File
}

func (w *mapWriter) start(pid int) error {
	target := strconv.Itoa(pid)
	if w.path == "" {
		if err := os.WriteFile("/proc/"+target+"/"+w.file, formatIDMap(w.lines), 0); err != nil {
			return &Error{Msg: "user namespace", Err: err}
		}
		return nil
	}
	argv := []string{w.program, target}
	for _, l := range w.lines {
		argv = append(argv, strconv.Itoa(l.ContainerID), strconv.Itoa(l.HostID), strconv.Itoa(l.Size))
	}
	fd, err := unix.MemfdCreate(w.program, unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("%s: %w", w.program, err)
	}
	w.said = os.NewFile(uintptr(fd), w.program)
	w.pid, err = syscall.ForkExec(w.path, argv, &syscall.ProcAttr{Env: []string{}, Files: []uintptr{uintptr(fd), uintptr(fd), uintptr(fd)}})
	if err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	return nil
}

func (w *mapWriter) wait() error {
	if w.path == "" {
		return nil
	}
	defer w.said.Close()
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(w.pid, &status, 0, nil)
		if err == nil {
			break
		}
		if err != syscall.EINTR {
			return fmt.Errorf("%s: %w", w.program, err)
		}
	}
	if status.Exited() && status.ExitStatus() == 0 {
		return nil
	}
	buf := make([]byte, 4096)
	n, _ := w.said.ReadAt(buf, 0)
	text := strings.Join(strings.FieldsFunc(string(buf[:n]), func(r rune) bool { return r == '\n' }), "; ")
	if text == "" {
		text = fmt.Sprintf("%s: ended with status %d", w.program, status.ExitStatus())
	} else if !strings.HasPrefix(text, w.program+":") {
		text = w.program + ": " + text
	}
	return &Error{Msg: text, Remedy: mapperRemedy(w.program, text)}
}

// mapperRemedy recognises why newuidmap and newgidmap refuse.
func mapperRemedy(program, text string) string {
	switch {
	case strings.Contains(text, "Operation not permitted"):
		return program + " has to be set-uid root, and must not be started where no new privileges are given (no_new_privs, nosuid): --userns single does without it"
	case strings.Contains(text, "not allowed"):
		return "/etc/subuid and /etc/subgid have to give the ranges to the caller: --userns single does without them"
	}
	return "--userns single does without " + program
}

// FindMapper finds newuidmap or newgidmap in PATH, and else where it is usual.
func FindMapper(path, program string) (string, error) {
	for _, dir := range append(strings.Split(path, ":"), "/usr/bin", "/bin") {
		file := dir + "/" + program
		if !strings.HasPrefix(dir, "/") {
			continue
		}
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && unix.Access(file, unix.X_OK) == nil {
			return file, nil
		}
	}
	return "", &Error{
		Msg:    program + " is not installed, which maps the ranges of /etc/subuid and /etc/subgid",
		Remedy: "install it, for example with: apt-get install uidmap",
	}
}
