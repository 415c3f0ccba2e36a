package main

import (
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// mounts are ways around what is mounted.
func mounts() []attack {
	direct := []attack{
		{"unmount a mask", func(*target) error { return unmount() }},
		{"mount over a mask", func(*target) error { return unix.Mount("tmpfs", "/proc/sys", "tmpfs", 0, "") }},
		{"bind over a mask", func(*target) error { return unix.Mount("/tmp", "/sys/firmware", "", unix.MS_BIND, "") }},
		{"remount the root", func(*target) error { return unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND, "") }},
		{"mount another procfs", func(*target) error { return unix.Mount("proc", "/tmp", "proc", 0, "") }},
		{"mount a disk", func(*target) error { return unix.Mount("/dev/vda", "/tmp", "ext4", 0, "") }},
		{"pivot the root", func(*target) error { return unix.PivotRoot("/tmp", "/tmp") }},
		{"take a tree of mounts", func(*target) error {
			fd, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE|unix.AT_RECURSIVE)
			if err == nil {
				unix.Close(fd)
			}
			return err
		}},
		{"open a new file system", func(*target) error {
			fd, err := unix.Fsopen("proc", 0)
			if err == nil {
				unix.Close(fd)
			}
			return err
		}},
		{"make a mount namespace", func(*target) error { return inNamespace("namespace", syscall.CLONE_NEWNS) }},
		{"make a user namespace", func(*target) error { return inNamespace("namespace", syscall.CLONE_NEWUSER) }},
	}
	for name := range insideAttacks() {
		direct = append(direct, attack{"in a user namespace: " + name, func(*target) error {
			return inNamespace(name, syscall.CLONE_NEWUSER|syscall.CLONE_NEWNS|syscall.CLONE_NEWPID)
		}})
	}
	return direct
}

// insideAttacks are tried by root of a user namespace of the sandbox's own making.
func insideAttacks() map[string]func() error {
	return map[string]func() error{
		"unmount a mask":          unmount,
		"remount the root":        func() error { return unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND, "") },
		"remount /proc/sys":       func() error { return unix.Mount("", "/proc/sys", "", unix.MS_REMOUNT|unix.MS_BIND, "") },
		"mount a procfs unmasked": func() error { return unix.Mount("proc", "/tmp", "proc", 0, "") },
		"mount a sysfs unmasked":  func() error { return unix.Mount("sysfs", "/tmp", "sysfs", 0, "") },
		"bind what is below masks": func() error {
			if err := unix.Mount("/proc", "/tmp", "", unix.MS_BIND, ""); err != nil {
				return err
			}
			_, err := os.ReadFile("/tmp/keys") // without MS_REC the masks stay behind
			return err
		},
	}
}

func unmount() error {
	var last error
	for _, path := range []string{"/proc/sys", "/proc/kcore", "/sys/firmware", "/proc/sysrq-trigger", "/proc/keys"} {
		if last = unix.Unmount(path, unix.MNT_DETACH); last == nil {
			return nil
		}
	}
	return last
}

// inNamespace runs this program once more, in new namespaces, for one attack.
func inNamespace(name string, flags uintptr) error {
	cmd := exec.Command("/proc/self/exe", "inside", name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	if flags&syscall.CLONE_NEWUSER != 0 {
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return cmd.Run()
}
