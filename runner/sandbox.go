package runner

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// Config is a sandbox to be made.
type Config struct {
	Bwrap   string         // absolute path of bubblewrap
	Command *bwrap.Command // what bwrap.Lower gave
	Real    bool           // the caller is root and stays it: no user namespace
	Mapped  bool           // Real is root of a user namespace, which is not the first
	Private bool           // the runner can make namespaces (bwrap.Features.Stage)
	Self    bool           // the command is this program itself, whatever Process.Args[0] says: no file of the image

	// State gives what the plan's StartHooks read on stdin, for the command's
	// process id; to be set where there are such hooks.
	State func(pid int) ([]byte, error)

	// Trees are what the plan's binds with an IDMap show, each for one of them
	// and for one sandbox. A stage of Real's alone takes them.
	Trees []*Tree

	Pasta *Pasta // connects the sandbox's network; nil for none

	// The command's own; nil is /dev/null. What is no terminal and could not
	// be opened by the command as /dev/stdout or /dev/stderr it is given as a
	// pipe, which is empty when Wait returns.
	Stdin, Stdout, Stderr *os.File
}

// Status is how a command ended. Code is its exit status, or 128+n when
// signal n killed it. Overdue is the signal after which Supervise waited for
// Policy.StopTimeout and killed it; 0 where it did not come to that.
type Status struct {
	Code    int
	Overdue syscall.Signal
}

// Sandbox is a sandbox from the moment that everything is mounted: first
// created, then running once Start is called, at last ended.
type Sandbox struct {
	pid     int // of the command, in the caller's pid namespace
	pidfd   int
	sock    int           // to the init; -1 once it is closed
	bwrap   int           // bubblewrap's process id
	monitor int           // its pidfd
	ended   chan struct{} // closed when bubblewrap has ended, and status is set
	status  syscall.WaitStatus
	reason  error    // why it can't be waited for
	master  *os.File // of the command's terminal; nil without one
	relay   *Relay   // of that terminal, once there is one

	cgroup  *os.File  // its own; nil without one
	warden  *warden   // of that, in a pid namespace that is not the sandbox's own
	state   []byte    // for the hooks in the sandbox; nil without any
	start   uint64    // when the kernel started the command's process
	init    *initSpec // what the init was told
	record  *os.File  // by which others know the sandbox
	visitor bool      // a process in the sandbox of another
	joins   string    // the control group of that, "" for none

	carriers []*carrier // of the command's streams

	unbind func() bool // from the context
	cut    atomic.Bool // by the context's end
	cause  func() error

	fds     sync.Mutex // held while pidfds are used by the context's end, or closed
	mu      sync.Mutex
	started bool
	report  chan *ExecError // one value after Start: nil when the command was executed
}

// Create makes the sandbox and returns when everything in it is mounted, its
// network is up, and its init waits. The end of the context kills the sandbox,
// created or running, and is then the error of Wait; so does the end of this
// process.
func Create(ctx context.Context, c Config) (*Sandbox, error) {
	l, err := newLaunch(c)
	if err != nil {
		return nil, err
	}
	s := &Sandbox{sock: l.sock, pidfd: -1, monitor: -1, ended: make(chan struct{}), report: make(chan *ExecError, 1), init: l.init, carriers: l.carriers}
	err = l.start(s)
	l.close() // or our copies would keep the socket and the pipe from ending
	defer l.pasta.close()
	if err != nil {
		unix.Close(s.sock)
		return nil, err
	}
	return s.awaitInit(ctx, l)
}

// awaitInit waits until the init says that it is ready to be started.
func (s *Sandbox) awaitInit(ctx context.Context, l *launch) (*Sandbox, error) {
	s.cause = ctx.Err
	s.unbind = context.AfterFunc(ctx, func() {
		if !s.hasEnded() {
			s.cut.Store(true)
			s.kill()
		}
	})
	pid, master, err := awaitReady(s.sock)
	if err != nil {
		s.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, l.failure(s)
	}
	s.pid, s.master = pid, master
	// The init waits for its start byte, so the number can't have passed on.
	s.fds.Lock()
	s.pidfd, err = unix.PidfdOpen(pid, 0)
	s.fds.Unlock()
	if err == nil {
		s.start, err = startTime(pid)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("pidfd of the sandbox's init: %w", err)
	}
	err = s.connect(l)
	if err == nil {
		err = enterCgroup(s.joins, pid)
	}
	if err == nil && l.State != nil {
		s.state, err = l.State(pid)
	}
	if err != nil {
		s.Close()
		return nil, cmp.Or(ctx.Err(), err)
	}
	return s, nil
}

// PID is the command's process id in the caller's pid namespace.
func (s *Sandbox) PID() int { return s.pid }

// Start lets the command run. It returns when the command has been executed;
// an *ExecError says why it has not been.
func (s *Sandbox) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		return errors.New("sandbox was started before")
	}
	s.started = true
	_, err := unix.Write(s.sock, []byte{'s'})
	if err == nil && s.state != nil {
		_, err = unix.Write(s.sock, s.state)
	}
	var report []byte
	if err == nil {
		report, err = readReport(s.sock)
	}
	unix.Close(s.sock)
	s.sock = -1
	if err != nil && !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) {
		return fmt.Errorf("start the command: %w", err)
	}
	if len(report) == 0 {
		if !s.visitor {
			_ = s.keepRecord() // fails where the command has ended
		}
		return nil
	}
	failure := new(ExecError)
	if err := json.Unmarshal(report, failure); err != nil {
		return fmt.Errorf("report of the sandbox's init: %w", err)
	}
	<-s.ended
	return failure
}

// Signal sends the signal to the command. One that has ended is no error.
func (s *Sandbox) Signal(sig syscall.Signal) error {
	err := unix.PidfdSendSignal(s.pidfd, sig, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// Wait waits until the command and everything in the sandbox has ended.
func (s *Sandbox) Wait() (Status, error) {
	<-s.ended
	for _, c := range s.carriers {
		c.settle(s.visitor, s.cut.Load())
	}
	if s.reason != nil {
		return Status{}, s.reason
	}
	var err error
	if s.cut.Load() {
		err = s.cause()
	}
	if s.status.Signaled() {
		return Status{Code: 128 + int(s.status.Signal())}, err
	}
	return Status{Code: s.status.ExitStatus()}, err
}

// Done is closed when everything in the sandbox has ended.
func (s *Sandbox) Done() <-chan struct{} { return s.ended }

// hasEnded says whether everything in the sandbox has ended.
func (s *Sandbox) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// Close kills what still runs and releases the sandbox.
func (s *Sandbox) Close() error {
	s.unbind()
	if !s.hasEnded() {
		s.kill()
		<-s.ended
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fds.Lock()
	defer s.fds.Unlock()
	s.relay.Close()
	if s.master != nil {
		s.master.Close()
	}
	if s.record != nil {
		s.record.Close()
	}
	if s.sock >= 0 {
		unix.Close(s.sock)
		s.sock = -1
	}
	for _, fd := range []*int{&s.pidfd, &s.monitor} {
		if *fd >= 0 {
			unix.Close(*fd)
			*fd = -1
		}
	}
	return nil
}
