package runner

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// terminalSpec asks the init for a pseudo terminal of the given size; zero
// leaves it unset.
type terminalSpec struct {
	Rows, Cols uint16
	Visitor    bool // it is not the sandbox's console
}

// multiplexer is the sandbox's own: a pair made with it has a name in there.
const multiplexer = "/dev/pts/ptmx"

// openTerminal makes a pseudo terminal in the sandbox's devpts, the slave the
// command's, and shows it as /dev/console as well. The master is for the
// runner, who reads it without blocking.
func openTerminal(s *initSpec) (master, slave int, err error) {
	master, err = openMaster(s)
	if err != nil {
		return -1, -1, fmt.Errorf("process.terminal: %s: %w", multiplexer, err)
	}
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return -1, -1, fmt.Errorf("process.terminal: unlock: %w", err)
	}
	// By descriptor, not by name: whoever owns /dev/pts has no say.
	peer, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if e != 0 {
		return -1, -1, fmt.Errorf("process.terminal: open the slave: %w", e)
	}
	slave = int(peer)
	if t := s.Terminal; t.Rows != 0 || t.Cols != 0 {
		if err := unix.IoctlSetWinsize(slave, unix.TIOCSWINSZ, &unix.Winsize{Row: t.Rows, Col: t.Cols}); err != nil {
			return -1, -1, fmt.Errorf("process.consoleSize: %w", err)
		}
	}
	if s.Terminal.Visitor {
		return master, slave, nil
	}
	// A /dev that nothing may be mounted in has no console; the terminal is
	// whole without.
	m := stageMounter{root: "/"}
	_ = m.bind(bwrap.Bind{Src: fmt.Sprintf("/proc/self/fd/%d", slave), Dst: "/dev/console", Devices: true})
	return master, slave, nil
}

// openMaster opens the multiplexer as the command's user, whose the slave
// will be: devpts gives it to the file system user id.
func openMaster(s *initSpec) (int, error) {
	if !s.KeepIDs {
		unix.RawSyscall(unix.SYS_SETFSUID, uintptr(s.UID), 0, 0)
		defer unix.RawSyscall(unix.SYS_SETFSUID, uintptr(unix.Geteuid()), 0, 0)
	}
	fd, err := unix.Open(multiplexer, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return -1, err
	}
	if st.Type != unix.DEVPTS_SUPER_MAGIC {
		unix.Close(fd)
		return -1, errors.New("not of a devpts")
	}
	return fd, nil
}

// takeTerminal makes the slave the controlling terminal of a session that the
// thread leads, and its standard streams. The process is bubblewrap's
// session leader, or a child of pid 1 that becomes one.
func takeTerminal(slave int) error {
	if _, err := unix.Setsid(); err != nil && err != unix.EPERM {
		return fmt.Errorf("process.terminal: new session: %w", err)
	}
	if err := unix.IoctlSetInt(slave, unix.TIOCSCTTY, 0); err != nil {
		return fmt.Errorf("process.terminal: make it the controlling one: %w", err)
	}
	for fd := range 3 {
		if err := unix.Dup3(slave, fd, 0); err != nil {
			return fmt.Errorf("process.terminal: %w", err)
		}
	}
	return nil
}

// sayReady tells the runner that everything is mounted, and hands it the
// terminal's master where there is one.
func sayReady(sock, master int) error {
	if master < 0 {
		_, err := unix.Write(sock, []byte{'r'})
		return err
	}
	err := unix.Sendmsg(sock, []byte{'r'}, unix.UnixRights(master), nil, 0)
	unix.Close(master)
	return err
}
