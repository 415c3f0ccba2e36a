package runner

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// joining is a program about to be started in namespaces of others. Go's own
// way of starting one can't enter namespaces, and a program with threads can't
// enter a user namespace, so it is forked by hand: a first child that has one
// thread enters and is the parent of a second, which is in the pid namespace as
// well and becomes the program. The first stays, gives the second's status as
// bubblewrap does, and takes it along when it dies.
type joining struct {
	enter     []entering // in this order
	mounts    bool       // then make a mount namespace
	alone     bool       // the first child is the program: no pid namespace is entered
	files     []uintptr  // the program's descriptors, by their number there
	self      int        // among these, the program
	argv, env []string
	lastCap   int
}

// entering is one call of setns(2): a namespace, or the process that has it, and
// which they are, as flags of clone(2).
type entering struct{ fd, flags uintptr }

const maxEnter = 4

// minFD is above the numbers that the program's descriptors get, so that
// giving one its number closes none of the others.
const minFD = 64

// forked is what the two children use: plain memory, for they may not
// allocate.
type forked struct {
	enter      [maxEnter]entering
	nenter     uintptr
	user       bool // one of them is a user namespace
	mounts     bool
	alone      bool
	files      [minFD]uintptr
	nfiles     uintptr
	self       uintptr
	argv, envp **byte
	report     uintptr // where a child says what failed
	parent     uintptr
	lastCap    uintptr
	caps       unix.CapUserHeader
	sets       [2]unix.CapUserData
	mask       [2]uint64 // of signals: all, and the one to go on with
	status     uint32
	failed     [2]uint32 // step and errno
	empty      [1]byte
}

// enterStep is the step of the first setns, and those of the others follow.
const enterStep = 100

// joinSteps names what a child can fail at.
var joinSteps = [...]string{"start", "parent", "", "parent-death signal", "capabilities", "fork", "descriptors", "exec", "new mount namespace", "dumpable"}

// enterError says which of the calls of setns failed.
type enterError struct {
	index int
	errno syscall.Errno
}

func (e *enterError) Error() string { return "enter the namespaces: " + e.errno.Error() }
func (e *enterError) Unwrap() error { return e.errno }

// start gives the process id of the first child, once the second has become
// the program. The calling thread must stay until the child has ended.
func (j *joining) start() (int, error) {
	f := &forked{nenter: uintptr(len(j.enter)), mounts: j.mounts, alone: j.alone, self: uintptr(j.self), parent: uintptr(os.Getpid()), lastCap: uintptr(j.lastCap)}
	for i, e := range j.enter {
		f.enter[i] = e
		f.user = f.user || e.flags&unix.CLONE_NEWUSER != 0
	}
	if len(j.files) > minFD {
		return 0, fmt.Errorf("%d descriptors to pass on", len(j.files))
	}
	for i, fd := range j.files {
		// CLOEXEC is cleared by giving it its number.
		dup, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, minFD)
		if err != nil {
			return 0, err
		}
		defer unix.Close(dup)
		f.files[i] = uintptr(dup)
	}
	f.nfiles = uintptr(len(j.files))
	argv, err := syscall.SlicePtrFromStrings(j.argv)
	if err != nil {
		return 0, err
	}
	envp, err := syscall.SlicePtrFromStrings(j.env)
	if err != nil {
		return 0, err
	}
	f.argv, f.envp = &argv[0], &envp[0]
	f.caps.Version = unix.LINUX_CAPABILITY_VERSION_3
	for c := 0; c <= j.lastCap; c++ {
		bit := uint32(1) << (c % 32)
		f.sets[c/32].Effective |= bit
		f.sets[c/32].Permitted |= bit
		f.sets[c/32].Inheritable |= bit
	}
	f.mask[0] = math.MaxUint64
	var report [2]int
	if err := unix.Pipe2(report[:], unix.O_CLOEXEC); err != nil {
		return 0, err
	}
	defer unix.Close(report[0])
	if f.report, err = dupAbove(report[1]); err != nil {
		return 0, err
	}
	pid, e := f.fork()
	runtime.KeepAlive(argv)
	runtime.KeepAlive(envp)
	unix.Close(int(f.report))
	if e != 0 {
		return 0, e
	}
	var said [8]byte
	if n, _ := unix.Read(report[0], said[:]); n == len(said) {
		unix.Wait4(pid, nil, 0, nil)
		step, errno := *(*uint32)(unsafe.Pointer(&said[0])), *(*uint32)(unsafe.Pointer(&said[4]))
		if step >= enterStep {
			return 0, &enterError{int(step - enterStep), syscall.Errno(errno)}
		}
		return 0, fmt.Errorf("%s: %w", joinSteps[step], syscall.Errno(errno))
	}
	return pid, nil
}

// dupAbove moves the descriptor out of the way of the program's.
func dupAbove(fd int) (uintptr, error) {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, minFD)
	unix.Close(fd)
	return uintptr(dup), err
}

// fork starts the first child. Signals stay blocked in it: their handlers are
// Go's, whose runtime is not there.
//
//go:norace
func (f *forked) fork() (int, syscall.Errno) {
	const maskSize = 8
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&f.mask[0])), uintptr(unsafe.Pointer(&f.mask[1])), maskSize, 0, 0)
	pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if e == 0 && pid == 0 {
		f.first()
	}
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&f.mask[1])), 0, maskSize, 0, 0)
	return int(pid), e
}

// first is the first child.
//
//go:norace
//go:nosplit
func (f *forked) first() {
	// It has the caller's memory and descriptors, until the second's exec.
	if _, _, e := unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 0, 0, 0, 0, 0); e != 0 {
		f.fail(9, e)
	}
	for i := uintptr(0); i < f.nenter && i < maxEnter; i++ {
		if _, _, e := unix.RawSyscall(unix.SYS_SETNS, f.enter[i].fd, f.enter[i].flags, 0); e != 0 {
			f.fail(enterStep+uint32(i), e)
		}
	}
	if f.mounts {
		if _, _, e := unix.RawSyscall(unix.SYS_UNSHARE, unix.CLONE_NEWNS, 0, 0); e != 0 {
			f.fail(8, e)
		}
	}
	// After that: new credentials clear it.
	if _, _, e := unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0, 0); e != 0 {
		f.fail(3, e)
	}
	if ppid, _, _ := unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0); ppid != f.parent {
		f.fail(1, unix.ESRCH)
	}
	unix.RawSyscall(unix.SYS_SETSID, 0, 0, 0)
	if f.user {
		// The program needs them all, and its user need not be 0 there.
		if _, _, e := unix.RawSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&f.caps)), uintptr(unsafe.Pointer(&f.sets)), 0); e != 0 {
			f.fail(4, e)
		}
		for c := uintptr(0); c <= f.lastCap; c++ {
			unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, c, 0, 0, 0)
		}
	}
	if f.alone {
		f.second()
	}
	pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if e != 0 {
		f.fail(5, e)
	}
	if pid == 0 {
		f.second()
	}
	unix.RawSyscall(unix.SYS_CLOSE_RANGE, 0, math.MaxUint32, 0)
	for {
		_, _, e := unix.RawSyscall6(unix.SYS_WAIT4, pid, uintptr(unsafe.Pointer(&f.status)), 0, 0, 0, 0)
		if e == unix.EINTR {
			continue
		}
		code := uintptr(f.status>>8) & 0xff
		if f.status&0x7f != 0 {
			code = 128 + uintptr(f.status&0x7f)
		}
		if e != 0 {
			code = 125
		}
		exitNow(code)
	}
}

// second becomes the program.
//
//go:norace
//go:nosplit
func (f *forked) second() {
	if _, _, e := unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0, 0); e != 0 {
		f.fail(3, e)
	}
	unix.RawSyscall(unix.SYS_CLOSE_RANGE, 3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	for i := uintptr(0); i < f.nfiles && i < minFD; i++ {
		flags := uintptr(0)
		if f.alone && i == f.self {
			flags = unix.O_CLOEXEC // it runs by its name
		}
		if _, _, e := unix.RawSyscall(unix.SYS_DUP3, f.files[i], i, flags); e != 0 {
			f.fail(6, e)
		}
	}
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&f.mask[1])), 0, 8, 0, 0)
	_, _, e := unix.RawSyscall6(unix.SYS_EXECVEAT, f.self, uintptr(unsafe.Pointer(&f.empty)), uintptr(unsafe.Pointer(f.argv)), uintptr(unsafe.Pointer(f.envp)), unix.AT_EMPTY_PATH, 0)
	f.fail(7, e)
}

// fail reports and ends a child.
//
//go:norace
//go:nosplit
func (f *forked) fail(step uint32, e syscall.Errno) {
	f.failed = [2]uint32{step, uint32(e)}
	unix.RawSyscall(unix.SYS_WRITE, f.report, uintptr(unsafe.Pointer(&f.failed)), 8)
	exitNow(125)
}

//go:norace
//go:nosplit
func exitNow(code uintptr) {
	for {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, code, 0, 0)
	}
}
