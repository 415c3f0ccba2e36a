package seccomp

import (
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Return values of a filter (linux/seccomp.h); the lower 16 bits are data.
const (
	retKillProcess = 0x80000000
	retKillThread  = 0x00000000
	retTrap        = 0x00030000
	retErrno       = 0x00050000
	retNotify      = 0x7fc00000
	retTrace       = 0x7ff00000
	retLog         = 0x7ffc0000
	retAllow       = 0x7fff0000
)

const (
	errnoEPERM  = 1
	errnoENOSYS = 38
	maxErrno    = 4095 // the kernel cuts what is above
)

// returnValue gives the value of an action. SCMP_ACT_ERRNO and SCMP_ACT_TRACE
// take errno, EPERM where it is nil; the others have no use for it.
func returnValue(action specs.LinuxSeccompAction, errno *uint) (uint32, error) {
	data := uint(errnoEPERM)
	if errno != nil {
		data = *errno
	}
	switch action {
	case specs.ActKill, specs.ActKillThread:
		return retKillThread, nil
	case specs.ActKillProcess:
		return retKillProcess, nil
	case specs.ActTrap:
		return retTrap, nil
	case specs.ActErrno:
		if data > maxErrno {
			return 0, fmt.Errorf("errnoRet: %d is above %d", data, maxErrno)
		}
		return retErrno | uint32(data), nil
	case specs.ActTrace:
		if data > 0xffff {
			return 0, fmt.Errorf("errnoRet: %d has more than 16 bits", data)
		}
		return retTrace | uint32(data), nil
	case specs.ActAllow:
		return retAllow, nil
	case specs.ActLog:
		return retLog, nil
	case specs.ActNotify:
		return retNotify, nil
	}
	return 0, fmt.Errorf("unknown action %q", action)
}

// Flags of seccomp(2).
const (
	flagLog       = 1 << 1
	flagSpecAllow = 1 << 2
)

// filterFlags gives what of the flags is to be handed on. A filter that is
// installed right before exec is every thread's, and waiting is a matter of
// SCMP_ACT_NOTIFY's listener.
func filterFlags(flags []specs.LinuxSeccompFlag) (uint32, error) {
	var out uint32
	for i, f := range flags {
		switch f {
		case specs.LinuxSeccompFlagLog:
			out |= flagLog
		case specs.LinuxSeccompFlagSpecAllow:
			out |= flagSpecAllow
		case "SECCOMP_FILTER_FLAG_TSYNC", specs.LinuxSeccompFlagWaitKillableRecv:
		default:
			return 0, fmt.Errorf("linux.seccomp.flags[%d]: unknown flag %q", i, f)
		}
	}
	return out, nil
}
