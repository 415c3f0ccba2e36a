package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// ExecProcess is a process to be started in a running sandbox. All else it has
// as the sandbox's command was given it.
type ExecProcess struct {
	Args, Env []string
	Cwd       string
	UID, GID  int
	Groups    []int
	Terminal  bool
}

// ExecConfig is a process and its streams; nil is /dev/null.
type ExecConfig struct {
	Process               ExecProcess
	Stdin, Stdout, Stderr *os.File
}

// Exec makes a process in the sandbox, which waits for Start. What is given
// stands for that process: its end is the end of the Sandbox, and the other
// way round the sandbox's end is the process's.
func (r *Running) Exec(ctx context.Context, c ExecConfig) (*Sandbox, error) {
	spec, err := r.execSpec(c.Process)
	if err != nil {
		return nil, err
	}
	l := &launch{sock: -1, read: make(chan struct{})}
	l.Command = &bwrap.Command{Process: bwrap.Process{Terminal: c.Process.Terminal}}
	l.Stdin, l.Stdout, l.Stderr = c.Stdin, c.Stdout, c.Stderr
	defer l.close()
	if err := l.carry(spec, !spec.KeepIDs && r.namespaces()&unix.CLONE_NEWUSER != 0); err != nil {
		return nil, err
	}
	number, err := l.execFiles(spec)
	if err != nil {
		return nil, err
	}
	s := &Sandbox{sock: l.sock, pidfd: -1, monitor: -1, ended: make(chan struct{}), report: make(chan *ExecError, 1), init: spec, visitor: true, joins: string(r.Cgroup), carriers: l.carriers}
	if err := r.start(s, l, number); err != nil {
		unix.Close(s.sock)
		return nil, err
	}
	l.close()
	return s.awaitInit(ctx, l)
}

// execSpec says what the process's init has to do.
func (r *Running) execSpec(p ExecProcess) (*initSpec, error) {
	s := r.Init
	s.Args, s.Env, s.Cwd = exactly(p.Args), exactly(p.Env), exact(p.Cwd)
	if s.UID != p.UID || s.GID != p.GID || !slices.Equal(s.Groups, p.Groups) {
		if s.KeepIDs {
			return nil, fmt.Errorf("the sandbox has a single id, %d:%d", s.UID, s.GID)
		}
		if s.UID != p.UID {
			all := s.Caps.Bounding
			s.Caps = capMasks{Bounding: all}
			if p.UID == 0 {
				s.Caps.Effective, s.Caps.Permitted = all, all
			}
		}
		s.UID, s.GID, s.Groups = p.UID, p.GID, p.Groups
	}
	s.NoNewPrivs = true
	s.Terminal = nil
	if p.Terminal {
		s.Terminal = &terminalSpec{Visitor: true}
	}
	for _, l := range r.Limits {
		if slices.ContainsFunc(s.Rlimits, func(set rlimit) bool { return set.Resource == l.Resource }) {
			continue
		}
		var own unix.Rlimit
		if err := unix.Getrlimit(l.Resource, &own); err == nil {
			l.Hard = min(l.Hard, own.Max)
			s.Rlimits = append(s.Rlimits, rlimit{Resource: l.Resource, Soft: min(l.Soft, l.Hard), Hard: l.Hard})
		}
	}
	return &s, nil
}

// execFiles lays out the init's descriptors and gives the number of its spec.
func (l *launch) execFiles(s *initSpec) (spec int, err error) {
	if err := l.standard(); err != nil {
		return 0, err
	}
	// The sandbox's processes run beside the init, and could reach its binary.
	if s.SelfFD, err = l.pass(openSelf(true)); err != nil {
		return 0, err
	}
	if s.SocketFD, err = l.pass(l.socket()); err != nil {
		return 0, err
	}
	if s.StderrFD, err = l.stderr(); err != nil {
		return 0, err
	}
	doc, err := json.Marshal(s)
	if err != nil {
		return 0, err
	}
	return l.pass(memfd("spec", doc))
}

// namespaces are those of the sandbox that are not the caller's.
func (r *Running) namespaces() (flags uintptr) {
	for _, ns := range []struct {
		kind string
		flag uintptr
	}{
		{"user", unix.CLONE_NEWUSER}, {"mnt", unix.CLONE_NEWNS}, {"pid", unix.CLONE_NEWPID}, {"net", unix.CLONE_NEWNET},
		{"ipc", unix.CLONE_NEWIPC}, {"uts", unix.CLONE_NEWUTS}, {"cgroup", unix.CLONE_NEWCGROUP},
		{"time", unix.CLONE_NEWTIME},
	} {
		if namespace("self", ns.kind) != namespace(strconv.Itoa(r.PID), ns.kind) {
			flags |= ns.flag
		}
	}
	return flags
}

// start enters the sandbox from a thread that lives as long as the process,
// whose parent-death signal comes when that thread ends.
func (r *Running) start(s *Sandbox, l *launch, spec int) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked
		j := joining{
			enter: []entering{{uintptr(r.pidfd), r.namespaces()}}, files: l.fds, self: s.init.SelfFD,
			argv: []string{"init", initWord, strconv.Itoa(spec)}, env: childEnv, lastCap: s.init.KernelCaps,
		}
		pid, err := j.start()
		if err == nil {
			s.bwrap = pid
			s.monitor, err = unix.PidfdOpen(pid, 0)
		}
		if errors.Is(err, unix.ESRCH) {
			err = errors.New("it has ended")
		}
		if err != nil {
			started <- fmt.Errorf("enter the sandbox: %w", err)
			return
		}
		started <- nil
		s.reap()
	}()
	return <-started
}
