package convert

import (
	"fmt"
	"strconv"
	"strings"
)

// signalNames are Linux's signals on all architectures Go supports but mips,
// each at its number.
var signalNames = [...]string{
	1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 5: "TRAP", 6: "ABRT", 7: "BUS", 8: "FPE", 9: "KILL", 10: "USR1",
	11: "SEGV", 12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM", 16: "STKFLT", 17: "CHLD", 18: "CONT", 19: "STOP", 20: "TSTP",
	21: "TTIN", 22: "TTOU", 23: "URG", 24: "XCPU", 25: "XFSZ", 26: "VTALRM", 27: "PROF", 28: "WINCH", 29: "IO", 30: "PWR", 31: "SYS",
}

// The C library keeps the kernel's first two real-time signals for itself.
const (
	sigRTMin = 34
	sigRTMax = 64
)

// ParseSignal gives the number of a StopSignal: "SIGTERM", "term", "15",
// "SIGRTMIN+3", "RTMAX-1".
func ParseSignal(s string) (int, error) {
	if n, err := strconv.ParseUint(s, 10, 8); err == nil && n >= 1 && n <= sigRTMax {
		return int(n), nil
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	for n, known := range signalNames {
		if known != "" && name == known {
			return n, nil
		}
	}
	n := -1
	if rest, ok := strings.CutPrefix(name, "RTMIN"); ok {
		n = offset(sigRTMin, rest, "+")
	} else if rest, ok := strings.CutPrefix(name, "RTMAX"); ok {
		n = offset(sigRTMax, rest, "-")
	}
	if n < sigRTMin || n > sigRTMax {
		return 0, fmt.Errorf("%q is no signal", s)
	}
	return n, nil
}

// offset gives base, moved by rest: sign and number, or nothing. It answers
// -1 to anything else.
func offset(base int, rest, sign string) int {
	if rest == "" {
		return base
	}
	digits, ok := strings.CutPrefix(rest, sign)
	n, err := strconv.ParseUint(digits, 10, 8)
	if !ok || err != nil {
		return -1
	}
	if sign == "-" {
		return base - int(n)
	}
	return base + int(n)
}
