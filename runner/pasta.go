package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Pasta connects the sandbox's own network namespace to the host's. It is
// started when everything is mounted and the command is not: the command finds
// its network as it will be. It runs in the pid namespace around the sandbox,
// so that it ends with the sandbox, however that ends.
type Pasta struct {
	Path  string     // absolute
	Args  []string   // its options, but for those that name the namespace
	Ports []HostPort // what it takes of every address of the host's; another's is an error
}

// HostPort is a port of the host's.
type HostPort struct {
	Number uint16
	UDP    bool
}

var errNoPasta = &Error{
	Msg:    "pasta is not installed: no pasta in PATH",
	Remedy: "install it, for example with: apt-get install passt",
}

// FindPasta finds pasta in the given PATH.
func FindPasta(path string) (string, error) {
	if file := lookup("pasta", path); file != "" {
		return file, nil
	}
	return "", errNoPasta
}

// pastaOrder is what the helper in the pid namespace is told.
type pastaOrder struct {
	PID  int // a process in the network namespace, in the helper's /proc
	Path exact
	Args []exact
}

// pastaLink is the socket between runner and helper.
type pastaLink struct {
	ours   int
	theirs *os.File
}

// newPastaLink gives nil where no pasta is wanted.
func newPastaLink(c *Config) (*pastaLink, error) {
	if c.Pasta == nil {
		return nil, nil
	}
	if !c.Real && c.Command.Stage == nil {
		return nil, &Error{Msg: "pasta: there is no namespace that would end it with the sandbox", Remedy: remedyUserNamespace}
	}
	if err := c.Pasta.free(); err != nil {
		return nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket for pasta's helper: %w", err)
	}
	return &pastaLink{ours: pair[0], theirs: os.NewFile(uintptr(pair[1]), "pasta")}, nil
}

// free looks for ports that are somebody else's. Pasta is content with those of
// IPv6 alone, and whoever asked by IPv4 would get the other one's answer.
func (p *Pasta) free() error {
	for _, port := range p.Ports {
		kind, name := unix.SOCK_STREAM, "tcp"
		if port.UDP {
			kind, name = unix.SOCK_DGRAM, "udp"
		}
		fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil // there is no IPv4
		}
		if !port.UDP { // what has just been closed is no obstacle
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		}
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrInet4{Port: int(port.Number)})
		}
		unix.Close(fd)
		if err == unix.EADDRINUSE {
			return &Error{Msg: fmt.Sprintf("pasta: port %d/%s of the host's", port.Number, name), Err: err, Remedy: remedyPorts}
		}
	}
	return nil
}

func (p *pastaLink) close() {
	if p != nil {
		unix.Close(p.ours)
		p.theirs.Close()
	}
}

// connect has the helper start pasta, and returns when the network is up.
func (s *Sandbox) connect(l *launch) error {
	p := l.pasta
	if p == nil {
		return nil
	}
	if l.Real {
		pid, err := s.joinHelper(p.theirs)
		if err != nil {
			return fmt.Errorf("pasta: %w", err)
		}
		defer reapChild(pid)
	}
	p.theirs.Close() // or the helper's end would not be seen
	pid := s.pid
	if !l.Real {
		var err error
		if pid, err = innerPID(s.pid); err != nil {
			return err
		}
	}
	order, err := json.Marshal(pastaOrder{PID: pid, Path: exact(l.Pasta.Path), Args: exactly(l.Pasta.Args)})
	if err != nil {
		return err
	}
	if _, err := unix.Write(p.ours, order); err != nil {
		return fmt.Errorf("pasta: its helper is gone: %w", err)
	}
	answer, err := readReport(p.ours)
	switch {
	case err != nil:
		return fmt.Errorf("pasta: %w", err)
	case len(answer) == 0:
		return errors.New("pasta: its helper ended without a word")
	case string(answer) != pastaReady:
		return &Error{Msg: "pasta: " + string(answer), Remedy: remedy(string(answer))}
	}
	return nil
}

// joinHelper starts the helper in the pid namespace of bubblewrap, which real
// root may enter.
func (s *Sandbox) joinHelper(theirs *os.File) (pid int, err error) {
	ns, err := os.Open("/proc/" + strconv.Itoa(s.bwrap) + "/ns/pid")
	if err != nil {
		return 0, err
	}
	defer ns.Close()
	type child struct {
		pid int
		err error
	}
	started := make(chan child)
	go func() {
		runtime.LockOSThread() // its children are born elsewhere from here on
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWPID); err != nil {
			started <- child{0, fmt.Errorf("enter the sandbox's pid namespace: %w", err)}
			return
		}
		pid, err := forkPastaHelper(int(theirs.Fd()))
		started <- child{pid, err}
	}()
	c := <-started
	return c.pid, c.err
}

func reapChild(pid int) {
	for {
		if _, err := syscall.Wait4(pid, nil, 0, nil); err != syscall.EINTR {
			return
		}
	}
}

// innerPID is the process's number one pid namespace below ours.
func innerPID(pid int) (int, error) {
	file := "/proc/" + strconv.Itoa(pid) + "/status"
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		numbers, ok := strings.CutPrefix(line, "NSpid:")
		if f := strings.Fields(numbers); ok && len(f) > 1 {
			return strconv.Atoi(f[1])
		}
	}
	return 0, fmt.Errorf("%s: no process id of a namespace below", file)
}
