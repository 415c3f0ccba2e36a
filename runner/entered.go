package runner

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Inside says that this program runs in a user namespace that Enter has made.
// UID and GID are there the caller's, once Await has returned, and LeftOut says
// that one of them is not mapped: then it is the kernel's number for that.
type Inside struct {
	UID, GID int
	LeftOut  bool

	Trees []*Tree // of the Entry

	joined     int // of EnterKinds and BeforeKinds, a bit each
	fd, parent int
	procs      int // threads to run from then on; 0 for no other number
}

// entered is where Enter has brought this process. It gives the program's
// arguments, its name included.
func entered(args []string) ([]string, *Inside, error) {
	if len(args) < 5 {
		return nil, nil, errors.New("started by hand")
	}
	var i Inside
	for n, to := range []*int{&i.fd, &i.parent, &i.joined, &i.procs} {
		var err error
		if *to, err = strconv.Atoi(args[n]); err != nil {
			return nil, nil, err
		}
	}
	if i.procs > 0 {
		os.Unsetenv(procsVariable)
	}
	var err error
	if i.Trees, err = readTrees(args[4]); err != nil {
		return nil, nil, err
	}
	return append([]string{"oci2bwrap"}, args[5:]...), &i, nil
}

// Joined says which of EnterKinds and BeforeKinds has been joined by its path.
func (i *Inside) Joined(kind string) bool {
	n := slices.Index(slices.Concat(EnterKinds, BeforeKinds), kind)
	return n >= 0 && i.joined&(1<<n) != 0
}

// Made says that the user namespace was made for this process.
func (i *Inside) Made() bool { return !slices.ContainsFunc(EnterKinds, i.Joined) }

// Await makes this process root of its user namespace once ids are mapped
// there. Until then it must touch no file and start nothing: it has no ids yet
// and capabilities that are not for others.
func (i *Inside) Await() error {
	if !awaitStart(i.fd) {
		os.Exit(125) // who started it tells why
	}
	i.LeftOut = awaitStart(i.fd) // by one more byte
	unix.Close(i.fd)
	i.UID, i.GID = os.Geteuid(), os.Getegid()
	if err := becomeRoot(); i.Joined("user") && errors.Is(err, unix.EINVAL) {
		return errors.New("the user namespace that is joined maps no root, who alone can make a sandbox in it")
	} else if err != nil {
		return fmt.Errorf("user namespace: %w", err)
	}
	if os.Getppid() != i.parent {
		os.Exit(125) // before the signal was armed
	}
	if i.procs > 1 {
		runtime.GOMAXPROCS(i.procs)
	}
	return nil
}

// becomeRoot leaves the groups: they may be what lets the caller read the
// image. Each call that is for all threads goes round them one by one, which
// is why none is made for ids that are right.
func becomeRoot() error {
	if err := plainCaps(); err != nil {
		return err
	}
	if isRoot() {
		return nil
	}
	if err := syscall.Setresgid(0, 0, 0); err != nil {
		return fmt.Errorf("become gid 0: %w", err)
	}
	if err := syscall.Setresuid(0, 0, 0); err != nil {
		return fmt.Errorf("become uid 0: %w", err)
	}
	// Changing the ids has cleared the signal.
	if _, _, e := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0, 0); e != 0 {
		return fmt.Errorf("parent-death signal: %w", e)
	}
	return nil
}

// isRoot says that all of this process's ids are 0, as they are where the
// caller is mapped to root.
func isRoot() bool {
	ruid, euid, suid := unix.Getresuid()
	rgid, egid, sgid := unix.Getresgid()
	return ruid|euid|suid|rgid|egid|sgid == 0
}

// plainCaps has all threads drop the inheritable capabilities, and with them
// the ambient ones, which the kernel lets nobody have without: root needs
// neither, and what it starts is not to have them.
func plainCaps() error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	for i := range data {
		data[i].Inheritable = 0
	}
	if _, _, e := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&data[0])), 0); e == unix.ENOTSUP {
		return errors.New(linkedDynamically) // Go can't do this to threads that C may have started
	} else if e != 0 {
		return fmt.Errorf("drop ambient capabilities: %w", e)
	}
	return nil
}
