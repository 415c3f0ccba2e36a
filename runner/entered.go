package runner

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Inside says that this program runs in a user namespace that Enter has made.
// UID and GID are there the caller's.
type Inside struct {
	UID, GID int
}

// entered makes this process, which Enter has started, root of its user
// namespace once ids are mapped there. It gives the program's arguments, its
// name included.
func entered(args []string) ([]string, *Inside, error) {
	if len(args) < 2 {
		return nil, nil, errors.New("started by hand")
	}
	fd, err := strconv.Atoi(args[0])
	if err != nil {
		return nil, nil, err
	}
	parent, err := strconv.Atoi(args[1])
	if err != nil {
		return nil, nil, err
	}
	if !awaitStart(fd) {
		os.Exit(125) // who started it tells why
	}
	unix.Close(fd)
	caller := &Inside{UID: os.Geteuid(), GID: os.Getegid()}
	if err := becomeRoot(); err != nil {
		return nil, nil, err
	}
	if os.Getppid() != parent {
		os.Exit(125) // before the signal was armed
	}
	return append([]string{"oci2bwrap"}, args[2:]...), caller, nil
}

func becomeRoot() error {
	// The groups stay: they may be what lets the caller read the image.
	if err := syscall.Setresgid(0, 0, 0); err != nil {
		return fmt.Errorf("become gid 0: %w", err)
	}
	if err := syscall.Setresuid(0, 0, 0); err != nil {
		return fmt.Errorf("become uid 0: %w", err)
	}
	if err := plainCaps(); err != nil {
		return err
	}
	// Changing the ids has cleared the signal.
	if _, _, e := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0, 0); e != 0 {
		return fmt.Errorf("parent-death signal: %w", e)
	}
	return nil
}

// plainCaps has all threads drop the ambient capabilities that have brought
// this process here, and the inheritable ones below them: root needs neither,
// and what it starts is not to have them.
func plainCaps() error {
	if _, _, e := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0, 0); e == unix.ENOTSUP {
		return errors.New(linkedDynamically) // Go can't do this to threads that C may have started
	} else if e != 0 {
		return fmt.Errorf("drop ambient capabilities: %w", e)
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	for i := range data {
		data[i].Inheritable = 0
	}
	if _, _, e := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&data[0])), 0); e != 0 {
		return fmt.Errorf("capabilities: %w", e)
	}
	return nil
}
