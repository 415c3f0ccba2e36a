package runner

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// filter is what seccomp(2) is to be given. BPF is an array of struct
// sock_filter; none means no filter.
type filter struct {
	BPF   []byte
	Flags uint32
}

// execve becomes the program at path, under the filter. Between the filter
// and the exec there is no other system call: the filter is the command's, and
// what it refuses or kills for is no business of the init's. It returns only
// with an error.
func execve(f *filter, path string, args, env []string) error {
	if len(f.BPF) == 0 {
		return syscall.Exec(path, args, env)
	}
	// What can be said of the program is said before the filter could keep
	// the message back.
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS); err != nil {
		return err
	}
	restoreFileLimit()
	name, err := unix.BytePtrFromString(path)
	if err != nil {
		return err
	}
	argv, err := syscall.SlicePtrFromStrings(args)
	if err != nil {
		return err
	}
	envp, err := syscall.SlicePtrFromStrings(env)
	if err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(f.BPF) / unix.SizeofSockFilter), Filter: (*unix.SockFilter)(unsafe.Pointer(&f.BPF[0]))}
	_, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(f.Flags), uintptr(unsafe.Pointer(&prog)))
	if e != 0 {
		return &ExecError{Code: 125, Msg: fmt.Sprintf("linux.seccomp: install the filter: %v", e)}
	}
	_, _, e = unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envp[0])))
	runtime.KeepAlive(f)
	return e
}

// restoreFileLimit gives the soft limit of open files back that Go has raised
// at its start. Only syscall.Exec knows it: one that fails has done it.
func restoreFileLimit() {
	_ = syscall.Exec("", []string{""}, nil)
}
