package probe

import "golang.org/x/sys/unix"

// archCalls are those that only this architecture has.
var archCalls = [...]call{
	{"arch_prctl", unix.SYS_ARCH_PRCTL, [6]uintptr{never}},
	{"ioperm", unix.SYS_IOPERM, [6]uintptr{never, never}},
	{"iopl", unix.SYS_IOPL, [6]uintptr{never}},
	{"modify_ldt", unix.SYS_MODIFY_LDT, [6]uintptr{never}},
	{"sysfs", unix.SYS_SYSFS, [6]uintptr{3}},
	{"uselib", unix.SYS_USELIB, [6]uintptr{}},
	{"ustat", unix.SYS_USTAT, [6]uintptr{never}},
}
