package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// launch is a bubblewrap about to be started: its process and the
// descriptors that go with it.
type launch struct {
	Config
	path  string
	argv  []string
	env   []string // what the host's environment says is no business of the sandbox
	attr  *syscall.SysProcAttr
	fds   []uintptr  // the child's descriptors, by their number there
	files []*os.File // ours to close once it has started
	hand  int        // the number of what the stage hands on, in the child
	sock  int        // our end of the init's socket
	pasta *pastaLink // nil without pasta
	init  *initSpec

	carriers []*carrier // of the command's streams

	maps *lateMaps

	pidns *bwrap.Join // the pid namespace that is joined; nil for the sandbox's own

	text strings.Builder // what bubblewrap says before the init takes its stderr over
	read chan struct{}   // closed when all of it has been read
}

// childEnv is the environment of the init and the stage process: for Go, to
// which a program that lives a millisecond is not worth threads and a
// collector. The command does not see it.
var childEnv = []string{"GOMAXPROCS=1", "GOGC=off"}

// newLaunch lays out the command line and the descriptors.
func newLaunch(c Config) (_ *launch, err error) {
	l := &launch{Config: c, sock: -1, read: make(chan struct{})}
	defer func() {
		if err != nil {
			l.close()
			l.pasta.close()
			if l.sock >= 0 {
				unix.Close(l.sock)
			}
		}
	}()
	if l.init, err = newInitSpec(c.Command); err != nil {
		return nil, err
	}
	if err := l.carry(l.init, c.Command.UIDMap != nil); err != nil {
		return nil, err
	}
	if err := l.standard(); err != nil {
		return nil, err
	}
	if l.pasta, err = newPastaLink(&c); err != nil {
		return nil, err
	}
	words, err := l.words()
	if err != nil {
		return nil, err
	}
	args, err := l.pass(memfd("args", []byte(strings.Join(words, "\x00")+"\x00")))
	if err != nil {
		return nil, err
	}
	self, spec, err := l.initFiles()
	if err != nil {
		return nil, err
	}
	argv := []string{c.Bwrap, "--args", strconv.Itoa(args), "--", "/proc/self/fd/" + strconv.Itoa(self), initWord, strconv.Itoa(spec)}
	if proc := foreignProc() && l.pidns == nil; c.Command.Stage != nil && (proc || !c.Real) {
		if argv, err = l.stageArgv(argv, proc); err != nil {
			return nil, err
		}
		l.env = childEnv
	}
	l.path, l.argv, l.attr = argv[0], argv, l.attributes()
	return l, nil
}

// words are bubblewrap's options, with what they name passed on.
func (l *launch) words() ([]string, error) {
	words, err := l.Command.Words(l.data)
	if err != nil {
		return nil, err
	}
	for _, e := range childEnv {
		name, value, _ := strings.Cut(e, "=")
		words = append(words, "--setenv", name, value)
	}
	if l.Command.UIDMap != nil {
		more, err := l.mapped()
		if err != nil {
			return nil, err
		}
		words = append(words, more...)
	}
	if j := joined(l.Command.Join, "pid"); j != nil {
		number, err := l.pass(openNamespace(*j))
		if err != nil {
			return nil, err
		}
		l.pidns = j
		words = append(words, "--pidns", strconv.Itoa(number))
	}
	return words, nil
}

// stageArgv puts a process of ours in front of bubblewrap. For real root it has
// no more to do than to mount a procfs, which takes a process that is in the
// pid namespace already.
func (l *launch) stageArgv(argv []string, proc bool) ([]string, error) {
	spec := &stageSpec{}
	if !l.Real {
		var err error
		if spec, err = newStageSpec(l.Command.Stage); err != nil {
			return nil, err
		}
		spec.HandedFD = l.hand
		spec.Time, spec.Clocks = l.Command.Time, l.Command.Clocks
		if l.pasta != nil {
			spec.PastaFD = l.number(l.pasta.theirs)
		}
	}
	spec.Proc = proc
	stage, err := l.pass(stageFile(spec))
	if err != nil {
		return nil, err
	}
	return append([]string{"/proc/self/exe", stageWord, strconv.Itoa(stage)}, argv...), nil
}

// stageFile is what the stage process reads.
func stageFile(spec *stageSpec) (*os.File, error) {
	doc, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	return memfd("stage", doc)
}

// attributes puts bubblewrap into a session of its own, so that a terminal's
// signals come to us alone, and into a pid namespace of its own: its death,
// which ours brings about, ends everything in the sandbox, also a command
// that has cleared its parent-death signal by changing its ids. Where a pid
// namespace is joined there is none around it, for the kernel lets a process
// join none but those below its own: then there is a control group, and a
// warden.
func (l *launch) attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	switch {
	case l.pidns != nil:
	case l.Real:
		a.Cloneflags = unix.CLONE_NEWPID
	case l.Private:
		a.Cloneflags = unix.CLONE_NEWUSER | unix.CLONE_NEWPID
		if l.Command.Stage != nil {
			a.Cloneflags |= unix.CLONE_NEWNS
		}
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return a
}

// start starts bubblewrap from a thread that lives as long as it does: the
// parent-death signal comes when that thread ends. Real root's stage is that
// thread's mount namespace.
func (l *launch) start(s *Sandbox) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		// What the caller has open is not for the sandbox.
		unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
		err := l.enterStage()
		if err == nil {
			err = join(l.Command.Join)
		}
		if err == nil {
			err = l.enterCgroup(s)
		}
		if err == nil && l.Command.Time && l.Real {
			err = newTime(l.Command.Clocks)
		}
		if err == nil {
			err = s.fork(l)
		}
		if err == nil && l.maps != nil {
			go l.maps.write(s)
		}
		if err != nil {
			s.leaveCgroup()
			started <- l.explain(err)
			return
		}
		started <- nil
		s.reap()
	}()
	return <-started
}

func (l *launch) enterStage() error {
	if l.Command.Stage == nil || !l.Real {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("stage: new mount namespace: %w", err)
	}
	handed, err := mountStage(l.Command.Stage, l.Mapped, true, l.Trees)
	if err == nil && handed >= 0 {
		file := os.NewFile(uintptr(handed), "handed")
		l.files = append(l.files, file)
		l.fds[l.hand] = file.Fd()
	}
	return err
}

func (l *launch) explain(err error) error {
	if hint := remedy(err.Error()); hint != "" {
		return &Error{Msg: err.Error(), Remedy: hint}
	}
	if !l.Private || l.Real {
		return err
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EACCES) {
		return &Error{Msg: "user namespaces are not available", Err: err, Remedy: namespaceRemedy("/proc", err)}
	}
	return err
}

// said is what bubblewrap wrote to its stderr, once it has ended.
func (l *launch) said() string {
	l.close()
	<-l.read
	return l.text.String()
}
