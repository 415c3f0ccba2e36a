package main

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// files are ways to what lies outside of the root, or to write what can be read.
func files() []attack {
	read := func(prefix string) func(*target) error {
		return func(t *target) error {
			_, err := os.ReadFile(prefix + t.secret)
			return err
		}
	}
	write := func(paths ...string) func(*target) error {
		return func(*target) error {
			var last error
			for _, path := range paths {
				f, err := os.OpenFile(path, os.O_WRONLY, 0)
				if err == nil {
					return f.Close()
				}
				last = err
			}
			return last
		}
	}
	look := func(path string) func(*target) error {
		return func(*target) error {
			data, err := os.ReadFile(path)
			if err == nil && len(data) == 0 {
				return errNothing
			}
			return err
		}
	}
	return []attack{
		{"read a file outside by its path", read("")},
		{"read a file outside by ..", read("/../../../../..")},
		{"read a file outside below /proc/1/root", read("/proc/1/root")},
		{"read a file outside below /proc/1/cwd", read("/proc/1/cwd/../../../..")},
		{"read a file outside below /proc/self/root", read("/proc/self/root/../..")},
		{"read a file outside below /oldroot", read("/oldroot")},
		{"read a file outside below /newroot", read("/newroot/..")},
		{"leave by chroot", leaveByChroot},
		{"leave by a file handle", leaveByHandle},
		{"write to the root", write("/bin/busybox")},
		{"make a file in the root", func(*target) error { return os.WriteFile("/made", nil, 0o600) }},
		{"change the mode of the root", func(*target) error { return os.Chmod("/bin", 0o777) }},
		{"write /proc/sys/kernel/core_pattern", write("/proc/sys/kernel/core_pattern")},
		{"write /proc/sys/kernel/modprobe", write("/proc/sys/kernel/modprobe")},
		{"write /proc/sys/vm", write("/proc/sys/vm/drop_caches", "/proc/sys/vm/overcommit_memory")},
		{"write /proc/sys/net", write("/proc/sys/net/ipv4/ip_forward")},
		{"write /proc/sysrq-trigger", write("/proc/sysrq-trigger")},
		{"write /proc/irq", write("/proc/irq/default_smp_affinity")},
		{"read /proc/kcore", look("/proc/kcore")},
		{"read /proc/keys", look("/proc/keys")},
		{"read /proc/timer_list", look("/proc/timer_list")},
		{"list /sys/firmware", func(*target) error {
			names, err := os.ReadDir("/sys/firmware")
			if err == nil && len(names) == 0 {
				return errNothing
			}
			return err
		}},
		{"write /sys", write("/sys/kernel/uevent_helper", "/sys/kernel/mm/ksm/run", "/sys/kernel/profiling", "/sys/power/state")},
		{"write a cgroup", writeCgroup},
		{"open memory, disks and consoles", func(*target) error {
			last := error(errNothing)
			for _, name := range []string{"mem", "kmem", "port", "kmsg", "sda", "vda", "nvme0n1", "console0", "tty0", "tty1", "fuse", "kvm"} {
				f, err := os.Open("/dev/" + name)
				if err == nil {
					return f.Close()
				}
				last = err
			}
			return last
		}},
		{"make a device", func(*target) error {
			return unix.Mknod("/tmp/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3)))
		}},
		{"make a disk's device", func(*target) error {
			return unix.Mknod("/dev/shm/disk", unix.S_IFBLK|0o666, int(unix.Mkdev(8, 0)))
		}},
		{"see another's /dev/shm", func(*target) error {
			names, _ := filepath.Glob("/dev/shm/attack-*")
			if len(names) == 0 {
				return errNothing
			}
			return nil
		}},
	}
}

func leaveByChroot(t *target) error {
	if err := os.MkdirAll("/tmp/jail", 0o755); err != nil {
		return err
	}
	fd, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// In a process of its own it would be tidier; the root is put back below.
	if err := unix.Chroot("/tmp/jail"); err != nil {
		return err
	}
	_ = unix.Fchdir(fd)
	_ = unix.Chdir("../../../../../../../..")
	_, err = os.ReadFile("." + t.secret)
	_ = unix.Fchdir(fd)
	if e := unix.Chroot("."); e != nil {
		panic(e)
	}
	return err
}

func leaveByHandle(*target) error {
	handle, mount, err := unix.NameToHandleAt(unix.AT_FDCWD, "/bin", 0)
	_ = mount
	if err != nil {
		handle = unix.NewFileHandle(1, []byte{2, 0, 0, 0, 0, 0, 0, 0})
	}
	dir, err := unix.Open("/bin", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	fd, err := unix.OpenByHandleAt(dir, handle, unix.O_RDONLY)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func writeCgroup(*target) error {
	last := error(errNothing)
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		name := filepath.Base(path)
		if name != "release_agent" && name != "cgroup.procs" && name != "notify_on_release" || strings.Count(path, "/") > 6 {
			return nil
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if last = err; err == nil {
			f.Close()
			return filepath.SkipAll
		}
		return nil
	})
	return last
}
