package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tool does what the image has no program for: "as UID PROGRAM ARG..." becomes
// the program as another user, "record PID" claims to look after the process as
// a sandbox.
func tool(name, number string, args []string) bool {
	n, err := strconv.Atoi(number)
	if err != nil {
		return false
	}
	switch name {
	case "as":
		if err = unix.Setresgid(n, n, n); err == nil {
			err = unix.Setresuid(n, n, n)
		}
		if err == nil {
			err = unix.Exec(args[0], args, os.Environ())
		}
	case "record":
		var fd int
		if fd, err = unix.MemfdCreate("oci2bwrap-run", 0); err == nil {
			_, err = unix.Write(fd, fmt.Appendf(nil, `{"Version":1,"PID":%d,"Start":%d}`, n, startTime(n)))
		}
		if err == nil {
			time.Sleep(time.Hour)
		}
	default:
		return false
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
	return true
}

// startTime is field 22 of /proc/PID/stat, of a process without spaces in its
// name.
func startTime(pid int) uint64 {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(string(data))
	if len(fields) < 22 {
		return 0
	}
	n, _ := strconv.ParseUint(fields[21], 10, 64)
	return n
}
