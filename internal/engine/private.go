package engine

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// cgroupWord makes the program a step before an engine: it shows cgroup2 where
// the host has the older controllers, in a mount namespace of its own, and
// becomes the rest of its arguments.
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
	runtime.LockOSThread()
	const dir = "/sys/fs/cgroup"
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("new mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", dir, err)
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
