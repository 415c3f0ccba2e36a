package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// initSpec is what the init is told by the runner.
type initSpec struct {
	Sysctl     []sysctl // to be set first
	Domainname exact
	Late       []wireOp // mounts to be made then
	Handed     exact    // where HandedFD is to be attached, "" for nothing
	HandedFD   int      // mounts of the stage's that are nowhere yet
	Args, Env  []exact
	Cwd        exact
	UID, GID   int
	Groups     []int
	KeepIDs    bool // ids and groups are what they are: a single id is mapped
	Umask      int
	Caps       capMasks
	Rlimits    []rlimit
	OOMScore   *int
	Schedule   schedule
	Terminal   *terminalSpec
	Reap       bool // stay, as the parent of the command
	ParentFD   int  // told by its end that the parent is a reaper; 0 without one
	Itself     bool // the program to become is the init's own
	StartHooks []hookSpec
	NoNewPrivs bool   // bubblewrap has not set it
	Seccomp    filter // the last thing before the exec
	SelfFD     int    // the init's own binary
	SocketFD   int    // to the runner
	StderrFD   int    // the command's stderr; until the exec it is the runner's pipe
	KernelCaps int    // the highest capability that the kernel knows
}

type rlimit struct {
	Resource   int
	Soft, Hard uint64
}

// initMain is pid 1 of the sandbox until it becomes the command. bubblewrap
// has mounted everything; the init tells the runner so, waits for the start
// byte, sets up what bubblewrap can't, and executes the command. A runner
// that is gone closes the socket, and the init ends without a trace.
func initMain(args []string) int {
	// Credentials and the parent-death signal belong to the thread; exec
	// keeps those of the thread that calls it.
	runtime.LockOSThread()
	var s initSpec
	if len(args) != 1 || readJSON(args[0], &s) != nil {
		fmt.Fprintln(os.Stderr, "init: started by hand")
		return 125
	}
	unix.CloseOnExec(s.SocketFD)
	master, slave, err := prepare(&s)
	if err != nil {
		fmt.Fprintln(os.Stderr, "init:", err)
		return 125
	}
	if sayReady(s.SocketFD, master) != nil || !awaitStart(s.SocketFD) {
		return 125
	}
	err = become(&s, slave)
	var report *ExecError
	if !errors.As(err, &report) {
		report = &ExecError{Code: 125, Msg: err.Error()}
	}
	report.Msg = shortened(report.Msg)
	msg, _ := json.Marshal(report)
	unix.Write(s.SocketFD, msg)
	return report.Code
}

// prepare makes what has to stand before the sandbox counts as created, and
// the command's terminal where it has one; -1 is none. As a reaper it returns
// only with an error.
func prepare(s *initSpec) (master, slave int, err error) {
	if s.ParentFD != 0 {
		awaitReaper(s.ParentFD) // who has made all but the terminal
	} else {
		if err := setKernel(s); err != nil {
			return -1, -1, err
		}
		if len(s.Handed) > 0 {
			if err := attachHanded(s.HandedFD, string(s.Handed)); err != nil {
				return -1, -1, err
			}
		}
		if err := mountLate(s.Late); err != nil {
			return -1, -1, err
		}
	}
	if s.Reap {
		return -1, -1, reap(s)
	}
	if s.Terminal == nil {
		return -1, -1, nil
	}
	return openTerminal(s)
}

// awaitStart reads the start byte. The raw call does not tell the scheduler,
// which would start a thread to go on without us; there is nothing to go on
// with.
func awaitStart(fd int) bool {
	var start [1]byte
	for {
		n, _, e := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&start)), 1)
		if e != unix.EINTR {
			return e == 0 && n == 1
		}
	}
}

// become turns the init into the command; it returns only with an error. The
// order is runc's: what needs privilege first, the ids, the working directory
// while capabilities can still reach it, then the capability sets. terminal is
// the slave of its own, or -1.
func become(s *initSpec, terminal int) error {
	if err := setLimits(s); err != nil {
		return err
	}
	unix.Umask(s.Umask)
	// From here on this process may have no more rights than what runs in the
	// sandbox already, whom exec adds it to, and no filter yet. Who can't trace
	// it can't make use of that; the exec sets it back.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("dumpable: %w", err)
	}
	if err := setIDs(s); err != nil {
		return err
	}
	if err := newKeyring(); err != nil {
		return err
	}
	// Setting the ids has cleared the parent-death signal. From here on the
	// monitor's death is ours again; if the runner died before, the socket
	// says so.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("parent-death signal: %w", err)
	}
	if hungUp(s.SocketFD) {
		os.Exit(125)
	}
	if err := setStreams(s, terminal); err != nil {
		return err
	}
	if err := unix.Chdir(string(s.Cwd)); err != nil {
		return fmt.Errorf("process.cwd: %s: %w", s.Cwd, err)
	}
	if err := setCaps(s); err != nil {
		return err
	}
	if err := runHooks(s.StartHooks, s.SocketFD); err != nil {
		return err
	}
	if s.NoNewPrivs {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("process.noNewPrivileges: %w", err)
		}
	}
	args, env := texts(s.Args), texts(s.Env)
	if s.Itself {
		return execve(&s.Seccomp, "/proc/self/fd/"+strconv.Itoa(s.SelfFD), args, env)
	}
	path, err := lookPath(args[0], env)
	if err != nil {
		return err
	}
	return execError(args[0], path, execve(&s.Seccomp, path, args, env))
}

// setLimits sets the command's limits and its place among other processes.
func setLimits(s *initSpec) error {
	for _, l := range s.Rlimits {
		lim := unix.Rlimit{Cur: l.Soft, Max: l.Hard}
		if err := unix.Setrlimit(l.Resource, &lim); err != nil {
			return fmt.Errorf("process.rlimits: %d: %w", l.Resource, err)
		}
	}
	if s.OOMScore != nil {
		if err := os.WriteFile("/proc/self/oom_score_adj", []byte(strconv.Itoa(*s.OOMScore)), 0); err != nil {
			return fmt.Errorf("process.oomScoreAdj: %w", err)
		}
	}
	return s.Schedule.set()
}

// setStreams gives the command its terminal or its stderr. What else is open
// is closed, now or by the exec.
func setStreams(s *initSpec, terminal int) error {
	if terminal >= 0 {
		if err := takeTerminal(terminal); err != nil {
			return err
		}
		unix.Close(terminal)
	} else if err := unix.Dup3(s.StderrFD, 2, 0); err != nil {
		return fmt.Errorf("stderr: %w", err)
	}
	// Nothing but 0, 1, 2 and the socket may be open when the image's
	// working directory is entered: it could name a descriptor in /proc.
	unix.Close(s.StderrFD)
	if !s.Itself {
		unix.Close(s.SelfFD)
	}
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close descriptors: %w", err)
	}
	return nil
}

func hungUp(fd int) bool {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(poll, 0)
	return err == nil && n > 0 && poll[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
}

// lookPath finds the command as execvp would in the container's PATH. Empty
// entries of PATH are passed over: the working directory is the image's
// choice, not a place to look for programs.
func lookPath(name string, env []string) (string, error) {
	if strings.ContainsRune(name, '/') {
		return name, nil
	}
	if name == "" {
		return "", &ExecError{Code: 127, Msg: `exec "": not found: the command is empty`}
	}
	var path string
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			path = v
		}
	}
	denied := ""
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue
		}
		file := filepath.Join(dir, name)
		var st unix.Stat_t
		if unix.Stat(file, &st) != nil || st.Mode&unix.S_IFMT == unix.S_IFDIR {
			continue
		}
		if unix.Faccessat(unix.AT_FDCWD, file, unix.X_OK, unix.AT_EACCESS) == nil {
			return file, nil
		}
		denied = file
	}
	if denied != "" {
		return "", &ExecError{Code: 126, Msg: fmt.Sprintf("exec %q: %s: permission denied", name, denied)}
	}
	return "", &ExecError{Code: 127, Msg: fmt.Sprintf("exec %q: not found in PATH (%s)", name, path)}
}

func execError(name, path string, err error) error {
	var told *ExecError
	switch {
	case errors.As(err, &told):
		return told
	case errors.Is(err, unix.ENOENT):
		if _, e := os.Stat(path); e == nil {
			return &ExecError{Code: 127, Msg: fmt.Sprintf("exec %q: the interpreter that it names is not in the image", name)}
		}
		return &ExecError{Code: 127, Msg: fmt.Sprintf("exec %q: no such file or directory", name)}
	case errors.Is(err, unix.ENOTDIR):
		return &ExecError{Code: 127, Msg: fmt.Sprintf("exec %q: %v", name, err)}
	}
	return &ExecError{Code: 126, Msg: fmt.Sprintf("exec %q: %v", name, err)}
}
