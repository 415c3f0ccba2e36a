package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// processes are ways to processes outside, and to what this one was started with.
func processes() []attack {
	return []attack{
		{"see processes outside", func(*target) error {
			// This one and its threads are all that there is.
			dirs, err := filepath.Glob("/proc/[0-9]*")
			if err == nil && len(dirs) == 1 {
				return errNothing
			}
			return err
		}},
		{"read an environment outside", func(*target) error {
			files, err := filepath.Glob("/proc/[0-9]*/environ")
			for _, file := range files {
				if data, err := os.ReadFile(file); err == nil && bytes.Contains(data, []byte("HOST_SECRET")) {
					return nil
				}
			}
			if err == nil {
				err = errNothing
			}
			return err
		}},
		{"have a variable of the caller's", func(*target) error {
			if os.Getenv("HOST_SECRET") == "" {
				return errNothing
			}
			return nil
		}},
		{"signal a process outside", func(t *target) error { return unix.Kill(t.pid, 0) }},
		{"signal all processes", func(*target) error { return unix.Kill(-1, 0) }},
		{"open a process outside", func(t *target) error {
			fd, err := unix.PidfdOpen(t.pid, 0)
			if err == nil {
				unix.Close(fd)
			}
			return err
		}},
		{"trace a process outside", func(t *target) error { return unix.PtraceAttach(t.pid) }},
		{"read memory of a process outside", func(t *target) error {
			var b [1]byte
			_, err := unix.ProcessVMReadv(t.pid, []unix.Iovec{{Base: &b[0], Len: 1}}, []unix.RemoteIovec{{Base: 0x400000, Len: 1}}, 0)
			return err
		}},
		{"use a descriptor left open", func(*target) error {
			entries, err := os.ReadDir("/proc/self/fd")
			if err != nil {
				return err
			}
			for _, e := range entries {
				link, err := os.Readlink("/proc/self/fd/" + e.Name())
				if err != nil || len(e.Name()) == 1 && e.Name() < "3" || strings.HasPrefix(link, "/proc/") || strings.HasPrefix(link, "anon_inode:[event") {
					continue // Go's own, and what reads the directory
				}
				fmt.Fprintln(os.Stderr, e.Name(), link)
				return nil
			}
			return errNothing
		}},
		{"have a group of the caller's", func(*target) error {
			groups, err := unix.Getgroups()
			if err == nil && len(groups) == 0 {
				return errNothing
			}
			for _, g := range groups {
				if g != 65534 && g != 0 {
					return nil
				}
			}
			return errNothing
		}},
		{"gain by a set-id program", func(*target) error {
			n, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
			if err == nil && n == 1 {
				return errNothing
			}
			return err
		}},
	}
}

// ownBinary tries to write to the program that is process 1, which oci2bwrap
// itself is made to be.
func ownBinary(*target) error {
	const path = "/proc/1/exe"
	var last error
	for _, flags := range []int{unix.O_WRONLY, unix.O_RDWR, unix.O_WRONLY | unix.O_TRUNC} {
		fd, err := unix.Open(path, flags, 0)
		if err == nil {
			unix.Close(fd)
			return nil
		}
		last = err
	}
	// A descriptor that is opened for nothing first and for writing later.
	fd, err := unix.Open(path, unix.O_PATH, 0)
	if err != nil {
		return err
	}
	again, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_WRONLY, 0)
	if err == nil {
		unix.Close(again)
		return nil
	}
	return errors.Join(last, err)
}
