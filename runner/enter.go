package runner

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// Entry is a user namespace to be made, in which this program runs once more.
type Entry struct {
	Map  IDMap
	Args []string // the program's own, without its name
	Path string   // PATH, to find newuidmap and newgidmap in

	// Direct writes the maps without these two, which the kernel allows to who
	// has the capabilities CAP_SETUID and CAP_SETGID for the ids.
	Direct bool

	// Join are user and time namespaces that are there, to enter instead of a
	// new one; Map is not used then.
	Join []bwrap.Join

	// Before are namespaces of BeforeKinds to enter before the new one is made,
	// whose root may not.
	Before []bwrap.Join

	// Trees are made before and found again in Inside: nobody can in there.
	Trees []*Tree
}

// Entered is this program in its new user namespace. It comes up while the
// namespace gets its ids, and waits for Begin.
type Entered struct {
	pid, pidfd int
	writers    []*mapWriter
	namespaces []*os.File // to be joined, and what they are, in their order
	order      []bwrap.Join
	before     []bwrap.Join
	release    *os.File
	started    chan error // nil when the child and its writers run
	ended      chan syscall.WaitStatus
	stopped    chan struct{}
}

// Enter starts this program again, with the arguments of e, as root of a new
// user namespace that has a mount namespace of its own; Main is where it comes
// in. The child has the standard streams, environment and working directory of
// this process and a session of its own, so that a terminal's signals reach it
// through Supervise alone. It dies with this process. Begin has to follow.
//
// An *Error says that newuidmap or newgidmap is missing.
func (e Entry) Enter() (*Entered, error) {
	child := &Entered{
		pidfd: -1, before: e.Before, started: make(chan error, 1),
		ended: make(chan syscall.WaitStatus, 1), stopped: make(chan struct{}, 1),
	}
	if err := child.joinEntry(e.Join); err != nil {
		return nil, err
	}
	for _, w := range [2]mapWriter{
		{program: "newuidmap", file: "uid_map", lines: e.Map.UIDs},
		{program: "newgidmap", file: "gid_map", lines: e.Map.GIDs},
	} {
		if len(e.Join) > 0 {
			break // it has its ids
		}
		if !e.Direct {
			path, err := FindMapper(e.Path, w.program)
			if err != nil {
				return nil, err
			}
			w.path = path
		}
		child.writers = append(child.writers, &w)
	}
	r, release, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	child.release = release
	go child.run(e, r)
	return child, nil
}

// Begin waits until the ids are mapped and has the child go on, which Supervise
// has to follow. What takes time and no ids is better done before.
//
// An *Error says that there is no such namespace, or that newuidmap or
// newgidmap refused; then nothing is left of the child.
func (c *Entered) Begin() error {
	if err := <-c.started; err != nil {
		c.kill()
		return err
	}
	var errs [2]error
	for i, w := range c.writers {
		errs[i] = w.wait()
	}
	if err := cmp.Or(errs[0], errs[1]); err != nil {
		c.kill()
		return err
	}
	defer c.release.Close()
	start := []byte{'s'}
	if c.leavesOut() {
		start = append(start, 'o')
	}
	if _, err := c.release.Write(start); err != nil && !errors.Is(err, unix.EPIPE) {
		return fmt.Errorf("start in the user namespace: %w", err)
	}
	return nil
}

// leavesOut says that the namespace lacks one of the caller's ids. The child
// can't tell: what it sees instead can be an id that is mapped.
func (c *Entered) leavesOut() bool {
	for file, id := range map[string]int{"uid_map": os.Geteuid(), "gid_map": os.Getegid()} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", c.pid, file))
		if err != nil {
			return false
		}
		// Outside is here, whatever lies between.
		m, err := ParseIDMap(data)
		if err == nil && !MapsOutside(m, id) {
			return true
		}
	}
	return false
}

// kill ends a child that has not begun, if there is one.
func (c *Entered) kill() {
	c.release.Close() // which ends it as well
	if c.pid > 0 {
		c.Signal(unix.SIGKILL)
		<-c.ended
		unix.Close(c.pidfd)
	}
}

// procsVariable tells Go's runtime how many threads may run. With one, the
// child comes up in fewer, which leave the processors to newuidmap and
// newgidmap and have fewer capabilities to drop. An argument says how many
// there are to be afterwards, or 0 where the caller has set the variable.
const procsVariable = "GOMAXPROCS"

// run starts the child and what writes its maps, and waits for the child's
// end. Its thread lives as long as the child, whose parent-death signal comes
// when that thread ends.
func (c *Entered) run(e Entry, release *os.File) {
	runtime.LockOSThread() // and never unlocked
	err := join(c.before)
	if err == nil {
		err = c.fork(e, release)
	}
	release.Close()
	closeTrees(e.Trees)
	for _, w := range c.writers {
		if err == nil {
			err = w.start(c.pid)
		}
	}
	c.started <- err
	if c.pid > 0 {
		c.wait()
	}
}

// fork gives the child the capabilities as ambient ones: exec would take the
// others while no id is mapped.
func (c *Entered) fork(e Entry, release *os.File) error {
	trees, err := treesWord(e.Trees, 4)
	if err != nil {
		return err
	}
	argv := []string{"oci2bwrap", enterWord, "3", strconv.Itoa(os.Getpid()), c.joinedWord()}
	env := os.Environ()
	if _, set := os.LookupEnv(procsVariable); set {
		argv = append(argv, "0")
	} else {
		argv = append(argv, strconv.Itoa(runtime.GOMAXPROCS(0)))
		env = append(env, procsVariable+"=1")
	}
	argv = append(append(argv, trees), e.Args...)
	files := append([]uintptr{0, 1, 2, release.Fd()}, treeFiles(e.Trees)...)
	if len(c.order) > 0 {
		if c.pid, err = c.forkJoined(argv, env, files); err == nil {
			c.pidfd, err = unix.PidfdOpen(c.pid, 0)
		}
		return err
	}
	attr := &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS, Setsid: true, Pdeathsig: syscall.SIGKILL,
		AmbientCaps: knownCaps(), PidFD: &c.pidfd,
	}
	pid, err := syscall.ForkExec("/proc/self/exe", argv, &syscall.ProcAttr{
		Env: env, Files: files, Sys: attr,
	})
	if err != nil {
		return &Error{Msg: "new user namespace", Err: err, Remedy: namespaceRemedy("/proc", err)}
	}
	c.pid = pid
	if c.pidfd < 0 {
		c.pidfd, err = unix.PidfdOpen(pid, 0)
	}
	return err
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
