package runner

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// standard lays out bubblewrap's 0, 1 and 2: the command's stdin and stdout,
// and a pipe that catches what bubblewrap says. The init gives the command
// the stderr that it is to have, or a terminal for all three.
func (l *launch) standard() error {
	if l.Command.Process.Terminal {
		// The init has the terminal; bubblewrap would look at ours.
		l.Stdin, l.Stdout, l.Stderr = nil, nil, nil
	}
	for _, f := range []*os.File{l.Stdin, l.Stdout} {
		if f == nil {
			null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			l.files = append(l.files, null)
			f = null
		}
		l.number(f)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	l.files = append(l.files, w)
	l.number(w)
	go func() {
		defer close(l.read)
		defer r.Close()
		io.Copy(&l.text, io.LimitReader(r, 16<<10))
	}()
	return nil
}

// initFiles passes the init's binary, its socket, the command's stderr and
// the spec that tells the numbers of all these.
func (l *launch) initFiles() (self, spec int, err error) {
	s := l.init
	if stage := l.Command.Stage; stage != nil && stage.Handed != "" {
		// The stage puts the mounts in its place.
		if l.hand, err = l.pass(os.Open(os.DevNull)); err != nil {
			return 0, 0, err
		}
		s.Handed, s.HandedFD = exact(stage.Handed), l.hand
	}
	if l.Self {
		s.Itself = true
	}
	if s.SelfFD, err = l.pass(openSelf(l.Real || s.Reap)); err != nil {
		return 0, 0, err
	}
	if s.SocketFD, err = l.pass(l.socket()); err != nil {
		return 0, 0, err
	}
	if s.StderrFD, err = l.stderr(); err != nil {
		return 0, 0, err
	}
	doc, err := json.Marshal(s)
	if err != nil {
		return 0, 0, err
	}
	spec, err = l.pass(memfd("spec", doc))
	return s.SelfFD, spec, err
}

// stderr passes the command's.
func (l *launch) stderr() (int, error) {
	if l.Stderr == nil {
		return l.pass(os.OpenFile(os.DevNull, os.O_WRONLY, 0))
	}
	return l.number(l.Stderr), nil
}

// number has the file passed on and tells its number in the child.
func (l *launch) number(f *os.File) int {
	l.fds = append(l.fds, f.Fd())
	return len(l.fds) - 1
}

// pass is number for a file that is ours to close.
func (l *launch) pass(f *os.File, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	l.files = append(l.files, f)
	return l.number(f), nil
}

func (l *launch) data(d *bwrap.Data) (string, error) {
	n, err := l.pass(memfd(d.Name, d.Bytes))
	return strconv.Itoa(n), err
}

// socket makes the pair between runner and init. Each message on our end
// carries its sender's process id.
func (l *launch) socket() (*os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket for the init: %w", err)
	}
	l.sock = pair[0]
	theirs := os.NewFile(uintptr(pair[1]), "init")
	if err := unix.SetsockoptInt(l.sock, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		theirs.Close()
		return nil, fmt.Errorf("socket for the init: %w", err)
	}
	return theirs, nil
}

func (l *launch) close() {
	for _, f := range l.files {
		f.Close()
	}
	l.files = nil
}
