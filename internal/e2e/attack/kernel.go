package main

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernel are calls that are for the machine's administrator, or that kernels
// were broken into by.
func kernel() []attack {
	call := func(nr uintptr, args ...any) func(*target) error {
		return func(*target) error {
			var a [6]uintptr
			for i, arg := range args {
				switch v := arg.(type) {
				case int:
					a[i] = uintptr(v)
				case []uint32:
					a[i] = uintptr(unsafe.Pointer(&v[0]))
				}
			}
			fd, _, e := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
			runtime.KeepAlive(args)
			if e != 0 {
				return e
			}
			_ = unix.Close(int(fd))
			return nil
		}
	}
	zeros := make([]uint32, 64)
	arrayMap := []uint32{unix.BPF_MAP_TYPE_ARRAY, 4, 4, 1, 15: 0}
	perf := []uint32{0: unix.PERF_TYPE_SOFTWARE, 1: 128, 2: unix.PERF_COUNT_SW_CPU_CLOCK, 63: 0}
	return []attack{
		{"load a module", call(unix.SYS_INIT_MODULE, zeros, 0, zeros)},
		{"load a kernel", call(unix.SYS_KEXEC_LOAD, 0, 0, 0, 0)},
		{"load a BPF program", call(unix.SYS_BPF, unix.BPF_PROG_LOAD, []uint32{unix.BPF_PROG_TYPE_KPROBE, 1, 31: 0}, 48)},
		{"make a BPF map", call(unix.SYS_BPF, unix.BPF_MAP_CREATE, arrayMap, 48)},
		{"open a performance counter of the machine", call(unix.SYS_PERF_EVENT_OPEN, perf, -1, 0, -1, 0)},
		{"open a performance counter", call(unix.SYS_PERF_EVENT_OPEN, perf, 0, -1, -1, 0)},
		{"catch page faults of the kernel", call(unix.SYS_USERFAULTFD, unix.O_CLOEXEC)},
		{"catch page faults of its own", call(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|1)},
		{"make an io_uring", call(unix.SYS_IO_URING_SETUP, 1, zeros)},
		{"turn Ctrl-Alt-Del off", call(unix.SYS_REBOOT, unix.LINUX_REBOOT_MAGIC1, unix.LINUX_REBOOT_MAGIC2, unix.LINUX_REBOOT_CMD_CAD_OFF)},
		{"set the clock", func(*target) error {
			var now unix.Timeval
			if err := unix.Gettimeofday(&now); err != nil {
				return err
			}
			return unix.Settimeofday(&now)
		}},
		{"swap", call(unix.SYS_SWAPON, zeros, 0)},
		{"account processes", call(unix.SYS_ACCT, 0)},
		{"name the host", func(*target) error { return unix.Sethostname([]byte("attacked")) }},
		{"read the kernel's log", func(*target) error {
			_, err := unix.Klogctl(unix.SYSLOG_ACTION_READ_ALL, make([]byte, 4096))
			return err
		}},
		{"clear the kernel's log", func(*target) error {
			_, err := unix.Klogctl(unix.SYSLOG_ACTION_CONSOLE_ON, nil)
			return err
		}},
		{"raise its own priority", func(*target) error { return unix.Setpriority(unix.PRIO_PROCESS, 0, -5) }},
		{"raise a limit", func(*target) error {
			var old unix.Rlimit
			if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
				return err
			}
			return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: old.Cur, Max: old.Max + 1})
		}},
		{"lock all memory", func(*target) error {
			return unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 1 << 40, Max: 1 << 40})
		}},
	}
}
