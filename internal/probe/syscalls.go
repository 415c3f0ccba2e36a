package probe

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// call is a system call with arguments that can do no harm: they ask, change
// nothing, or are refused. What it returns tells whether a filter or a missing
// capability stood in the way.
type call struct {
	name string
	nr   uintptr
	args [6]uintptr
}

// never is a descriptor, process or pointer that no call takes.
const never = ^uintptr(0)

// calls exist on every architecture.
var calls = [...]call{
	{"add_key", unix.SYS_ADD_KEY, [6]uintptr{}},
	{"adjtimex", unix.SYS_ADJTIMEX, [6]uintptr{}},
	{"bpf", unix.SYS_BPF, [6]uintptr{never}},
	{"clock_adjtime", unix.SYS_CLOCK_ADJTIME, [6]uintptr{never}},
	{"clock_settime", unix.SYS_CLOCK_SETTIME, [6]uintptr{never}},
	{"clone3", unix.SYS_CLONE3, [6]uintptr{}},
	{"close_range", unix.SYS_CLOSE_RANGE, [6]uintptr{2, 1}},
	{"copy_file_range", unix.SYS_COPY_FILE_RANGE, [6]uintptr{never, 0, never}},
	{"delete_module", unix.SYS_DELETE_MODULE, [6]uintptr{}},
	{"faccessat2", unix.SYS_FACCESSAT2, [6]uintptr{never}},
	{"fanotify_init", unix.SYS_FANOTIFY_INIT, [6]uintptr{never}},
	{"finit_module", unix.SYS_FINIT_MODULE, [6]uintptr{never}},
	{"fsopen", unix.SYS_FSOPEN, [6]uintptr{}},
	{"get_mempolicy", unix.SYS_GET_MEMPOLICY, [6]uintptr{}},
	{"init_module", unix.SYS_INIT_MODULE, [6]uintptr{}},
	{"io_uring_setup", unix.SYS_IO_URING_SETUP, [6]uintptr{}},
	{"kcmp", unix.SYS_KCMP, [6]uintptr{never, never}},
	{"kexec_load", unix.SYS_KEXEC_LOAD, [6]uintptr{0, never, 0, never}},
	{"keyctl", unix.SYS_KEYCTL, [6]uintptr{never}},
	{"landlock_create_ruleset", unix.SYS_LANDLOCK_CREATE_RULESET, [6]uintptr{0, 0, 1}},
	{"mbind", unix.SYS_MBIND, [6]uintptr{1}},
	{"membarrier", unix.SYS_MEMBARRIER, [6]uintptr{}},
	{"memfd_create", unix.SYS_MEMFD_CREATE, [6]uintptr{}},
	{"mount", unix.SYS_MOUNT, [6]uintptr{}},
	{"mount_setattr", unix.SYS_MOUNT_SETATTR, [6]uintptr{never}},
	{"move_mount", unix.SYS_MOVE_MOUNT, [6]uintptr{never}},
	{"move_pages", unix.SYS_MOVE_PAGES, [6]uintptr{}},
	{"name_to_handle_at", unix.SYS_NAME_TO_HANDLE_AT, [6]uintptr{never}},
	{"open_by_handle_at", unix.SYS_OPEN_BY_HANDLE_AT, [6]uintptr{never}},
	{"open_tree", unix.SYS_OPEN_TREE, [6]uintptr{never}},
	{"openat2", unix.SYS_OPENAT2, [6]uintptr{never}},
	{"perf_event_open", unix.SYS_PERF_EVENT_OPEN, [6]uintptr{0, 0, never, never, never}},
	{"personality", unix.SYS_PERSONALITY, [6]uintptr{0xffffffff}},
	{"pidfd_getfd", unix.SYS_PIDFD_GETFD, [6]uintptr{never}},
	{"pidfd_open", unix.SYS_PIDFD_OPEN, [6]uintptr{never}},
	{"pivot_root", unix.SYS_PIVOT_ROOT, [6]uintptr{}},
	{"process_madvise", unix.SYS_PROCESS_MADVISE, [6]uintptr{never}},
	{"process_vm_readv", unix.SYS_PROCESS_VM_READV, [6]uintptr{never}},
	{"ptrace", unix.SYS_PTRACE, [6]uintptr{never, never}},
	{"quotactl", unix.SYS_QUOTACTL, [6]uintptr{never}},
	{"reboot", unix.SYS_REBOOT, [6]uintptr{never}},
	{"request_key", unix.SYS_REQUEST_KEY, [6]uintptr{}},
	{"rseq", unix.SYS_RSEQ, [6]uintptr{0, 0, never}},
	{"sched_setattr", unix.SYS_SCHED_SETATTR, [6]uintptr{}},
	{"seccomp", unix.SYS_SECCOMP, [6]uintptr{never}},
	{"set_mempolicy", unix.SYS_SET_MEMPOLICY, [6]uintptr{never}},
	{"setdomainname", unix.SYS_SETDOMAINNAME, [6]uintptr{0, never}},
	{"sethostname", unix.SYS_SETHOSTNAME, [6]uintptr{0, never}},
	{"setns", unix.SYS_SETNS, [6]uintptr{never}},
	{"settimeofday", unix.SYS_SETTIMEOFDAY, [6]uintptr{}},
	{"signalfd4", unix.SYS_SIGNALFD4, [6]uintptr{never}},
	{"swapoff", unix.SYS_SWAPOFF, [6]uintptr{}},
	{"swapon", unix.SYS_SWAPON, [6]uintptr{}},
	{"syslog", unix.SYS_SYSLOG, [6]uintptr{10}},
	{"umount2", unix.SYS_UMOUNT2, [6]uintptr{0, never}},
	{"unshare", unix.SYS_UNSHARE, [6]uintptr{}},
	{"userfaultfd", unix.SYS_USERFAULTFD, [6]uintptr{never}},
	{"vmsplice", unix.SYS_VMSPLICE, [6]uintptr{never}},
}

// syscalls tries every call, and sockets of families that filters know.
func (f Facts) syscalls() {
	const group = "system calls"
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, c := range append(calls[:len(calls):len(calls)], archCalls[:]...) {
		n, _, e := unix.RawSyscall6(c.nr, c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5])
		f.set(group, c.name, outcome(n, e, c.name))
	}
	root := []byte("/\x00")
	_, _, e := unix.RawSyscall(unix.SYS_CHROOT, uintptr(unsafe.Pointer(&root[0])), 0, 0)
	f.set(group, "chroot", outcome(0, e, ""))
	for _, s := range []struct {
		name                   string
		family, kind, protocol int
	}{
		{"alg", unix.AF_ALG, unix.SOCK_SEQPACKET, 0}, {"inet6", unix.AF_INET6, unix.SOCK_DGRAM, 0},
		{"netlink", unix.AF_NETLINK, unix.SOCK_RAW, 0}, {"audit", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT},
		{"packet", unix.AF_PACKET, unix.SOCK_RAW, 0}, {"raw", unix.AF_INET, unix.SOCK_RAW, 1},
		{"ping", unix.AF_INET, unix.SOCK_DGRAM, 1}, {"unix", unix.AF_UNIX, unix.SOCK_STREAM, 0}, {"vsock", unix.AF_VSOCK, unix.SOCK_STREAM, 0},
	} {
		fd, err := unix.Socket(s.family, s.kind|unix.SOCK_CLOEXEC, s.protocol)
		if err == nil {
			unix.Close(fd)
		}
		f.set(group, "socket "+s.name, fault(err))
	}
	for _, ns := range []struct {
		name string
		flag uintptr
	}{{"user", unix.CLONE_NEWUSER}, {"mnt", unix.CLONE_NEWNS}, {"uts", unix.CLONE_NEWUTS}} {
		f.set(group, "clone in a new namespace: "+ns.name, newNamespace(ns.flag))
	}
}

func outcome(n uintptr, e syscall.Errno, name string) string {
	if e != 0 {
		return fault(e)
	}
	if name == "personality" {
		return fmt.Sprintf("ok %#x", n)
	}
	return "ok"
}

// newNamespace starts a process in a namespace of its own: one that can't be
// executed, so that only the kernel's answer to clone comes back.
func newNamespace(flag uintptr) string {
	_, err := syscall.ForkExec("/", []string{"/"}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Cloneflags: flag}})
	if errors.Is(err, syscall.EACCES) || err == nil {
		return "ok"
	}
	return fault(err)
}

// prctlInto is prctl for the options that write their value.
func prctlInto(option int, value *int32) error {
	_, _, e := unix.RawSyscall(unix.SYS_PRCTL, uintptr(option), uintptr(unsafe.Pointer(value)), 0)
	if e != 0 {
		return e
	}
	return nil
}
