package engine

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// cgroupWord makes the program a step before an engine: in the mount namespace
// that it was started in it shows cgroup2 where the host has the older
// controllers, and becomes the rest of its arguments.
const cgroupWord = "__cgroup2"

// Main is to be called early in main, with os.Args: where the program was
// started as that step it does not return.
func Main(args []string) {
	if len(args) < 3 || args[1] != cgroupWord {
		return
	}
	err := becomePrivate(args[2:])
	fmt.Fprintln(os.Stderr, "cgroup2:", err)
	os.Exit(125)
}

func becomePrivate(args []string) error {
	const dir = "/sys/fs/cgroup"
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("cgroup2", dir, "cgroup2", 0, ""); err != nil {
		return fmt.Errorf("mount cgroup2 at %s: %w", dir, err)
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return err
	}
	return unix.Exec(path, args, os.Environ())
}

// private are the namespaces of that step. An ordinary user has the right to
// mount in a user namespace that it is itself in.
func private() *syscall.SysProcAttr {
	uid, gid := os.Geteuid(), os.Getegid()
	if uid == 0 {
		return &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP}
	}
	return &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN},
	}
}
