// Command syscalls makes system calls and prints what becomes of each, for the
// tests that compare a sandbox with a container:
//
//	syscalls [NAME[:ARG...]...]
//
// NAME is one of the table, or a number. Without arguments it makes those of
// the list below, whose arguments are such that a kernel which lets them
// through finds fault with them or does no harm.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

var usual = []string{
	"getpid", "unshare:0x10000000", "setns:-1", "mount:1:1:1:0:1", "umount2:1:99", "pivot_root:1:1", "chroot:1", "clone:0x20200",
	"clone3:1:0", "keyctl:-1", "add_key:1:1:1:1", "request_key:1:1:1", "bpf:9999:1:1", "perf_event_open:1", "ptrace:-1:-1",
	"process_vm_readv:-1:1:1:1:1", "personality:0xffffffff", "personality:0x40000", "personality:0x20001", "socket:1:99", "socket:2:99",
	"socket:16:99", "socket:16:3:9", "socket:17:99", "socket:38:99", "socket:40:99", "userfaultfd:-1", "fanotify_init:-1",
	"reboot:0", "init_module:1", "kexec_load:0:99:1:-1", "swapon:1", "settimeofday:1:1", "sethostname:1:999", "syslog:99",
	"name_to_handle_at:-1:1:1:1", "open_by_handle_at:-1:1", "mbind:1:1:99", "get_mempolicy:1:1:1:1:99", "kcmp:-1:-1:99",
	"memfd_create:1:99", "seccomp:99:1:1", "prctl:9999:1", "semget:1:-1", "setuid:-1", "getrandom:1:1:99", "quotactl:1:1", "999",
}

func main() {
	runtime.LockOSThread()
	words := os.Args[1:]
	if len(words) == 0 {
		words = usual
	}
	for _, word := range words {
		fields := strings.Split(word, ":")
		nr, ok := numbers[fields[0]]
		if !ok {
			n, err := strconv.Atoi(fields[0])
			if err != nil {
				fmt.Fprintln(os.Stderr, "no such call:", word)
				os.Exit(2)
			}
			nr = uintptr(n)
		}
		var args [6]uintptr
		for i, f := range fields[1:] {
			n, err := strconv.ParseInt(f, 0, 64)
			if err != nil {
				u, err := strconv.ParseUint(f, 0, 64)
				if err != nil {
					fmt.Fprintln(os.Stderr, "no number:", word)
					os.Exit(2)
				}
				n = int64(u)
			}
			args[i] = uintptr(n)
		}
		_, _, e := unix.RawSyscall6(nr, args[0], args[1], args[2], args[3], args[4], args[5])
		fmt.Printf("%s %d %v\n", word, int(e), e)
	}
}

var numbers = map[string]uintptr{
	"getpid": unix.SYS_GETPID, "unshare": unix.SYS_UNSHARE, "setns": unix.SYS_SETNS, "mount": unix.SYS_MOUNT, "umount2": unix.SYS_UMOUNT2,
	"pivot_root": unix.SYS_PIVOT_ROOT, "chroot": unix.SYS_CHROOT, "clone": unix.SYS_CLONE, "clone3": unix.SYS_CLONE3, "keyctl": unix.SYS_KEYCTL,
	"add_key": unix.SYS_ADD_KEY, "request_key": unix.SYS_REQUEST_KEY, "bpf": unix.SYS_BPF, "perf_event_open": unix.SYS_PERF_EVENT_OPEN,
	"ptrace": unix.SYS_PTRACE, "process_vm_readv": unix.SYS_PROCESS_VM_READV, "personality": unix.SYS_PERSONALITY, "socket": unix.SYS_SOCKET,
	"userfaultfd": unix.SYS_USERFAULTFD, "fanotify_init": unix.SYS_FANOTIFY_INIT, "reboot": unix.SYS_REBOOT, "init_module": unix.SYS_INIT_MODULE,
	"kexec_load": unix.SYS_KEXEC_LOAD, "swapon": unix.SYS_SWAPON, "settimeofday": unix.SYS_SETTIMEOFDAY, "sethostname": unix.SYS_SETHOSTNAME,
	"syslog": unix.SYS_SYSLOG, "name_to_handle_at": unix.SYS_NAME_TO_HANDLE_AT, "open_by_handle_at": unix.SYS_OPEN_BY_HANDLE_AT,
	"mbind": unix.SYS_MBIND, "get_mempolicy": unix.SYS_GET_MEMPOLICY, "kcmp": unix.SYS_KCMP, "memfd_create": unix.SYS_MEMFD_CREATE,
	"seccomp": unix.SYS_SECCOMP, "prctl": unix.SYS_PRCTL, "semget": unix.SYS_SEMGET, "setuid": unix.SYS_SETUID, "getrandom": unix.SYS_GETRANDOM,
	"quotactl": unix.SYS_QUOTACTL, "getpriority": unix.SYS_GETPRIORITY, "uname": unix.SYS_UNAME, "getppid": unix.SYS_GETPPID,
	"sysinfo": unix.SYS_SYSINFO, "capget": unix.SYS_CAPGET, "capset": unix.SYS_CAPSET, "sched_yield": unix.SYS_SCHED_YIELD,
}
