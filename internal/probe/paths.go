package probe

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// devices lists /dev with what each node is, and tries the usual ones.
func (f Facts) devices() {
	const group = "devices"
	filepath.WalkDir("/dev", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			f.set(group, Escape(path), fault(err))
			return nil
		}
		if inAny(path, "/dev/shm", "/dev/mqueue", "/dev/pts") && path != "/dev/pts/ptmx" && strings.Count(path, "/") > 2 {
			return nil // what is in there is no device
		}
		f.set(group, Escape(path), inspect(path))
		return nil
	})
	for _, node := range []string{"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts/ptmx"} {
		fd, err := unix.Open("/dev/"+node, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.Close(fd)
		}
		f.set(group, "/dev/"+node+" opens", fault(err))
	}
}

// inspect names a node: type, mode, owner, and what it points to.
func inspect(path string) string {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return fault(err)
	}
	text := fmt.Sprintf("%s %04o %d:%d", kindOf(st.Mode), st.Mode&0o7777, st.Uid, st.Gid)
	switch kindOf(st.Mode) {
	case "c", "b":
		text += fmt.Sprintf(" %d,%d", unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev)))
	case "l":
		target, err := os.Readlink(path)
		text = "l -> " + valueOr(Escape(target), err)
	}
	return text
}

// kindOf is the letter that ls begins a line with, "f" for a file.
func kindOf(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "f"
	case unix.S_IFDIR:
		return "d"
	case unix.S_IFLNK:
		return "l"
	case unix.S_IFCHR:
		return "c"
	case unix.S_IFBLK:
		return "b"
	case unix.S_IFIFO:
		return "p"
	case unix.S_IFSOCK:
		return "s"
	}
	return "?"
}

// kernelPaths tries what runtimes mask or make read-only in /proc and /sys,
// and all that stands at the top of either.
func (f Facts) kernelPaths() {
	paths := []string{
		"/proc/acpi", "/proc/asound", "/proc/bus", "/proc/fs", "/proc/interrupts", "/proc/irq", "/proc/kcore", "/proc/keys",
		"/proc/kallsyms", "/proc/kmsg", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/sys", "/proc/sys/kernel/hostname",
		"/proc/sys/kernel/domainname", "/proc/sys/kernel/core_pattern", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/vm/drop_caches",
		"/proc/sysrq-trigger", "/proc/timer_list", "/proc/timer_stats", "/proc/self/attr/current", "/proc/self/oom_score_adj",
		"/sys/dev/block", "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/selinux", "/sys/fs/cgroup", "/sys/class/net",
		"/sys/kernel/security", "/sys/kernel/debug", "/sys/kernel/mm/transparent_hugepage/enabled",
	}
	for _, top := range []string{"/proc", "/sys", "/sys/fs", "/sys/kernel"} {
		entries, err := os.ReadDir(top)
		if err != nil {
			f.set("kernel paths", top, fault(err))
		}
		for _, e := range entries {
			// Numbers are processes, and these two lead to the one that looks.
			if name := e.Name(); (name[0] < '0' || name[0] > '9') && name != "self" && name != "thread-self" {
				paths = append(paths, top+"/"+name)
			}
		}
	}
	for _, p := range paths {
		f.set("kernel paths", Escape(p), access(p))
	}
	entries, err := os.ReadDir("/sys/class/net")
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	f.set("kernel paths", "/sys/class/net lists", valueOr(Escape(strings.Join(names, " ")), err))
}

// access tells what is there and how it opens. Nothing is read from a file:
// some of these wait, some act.
func access(path string) string {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return fault(err)
	}
	text := inspect(path)
	if kindOf(st.Mode) == "d" {
		entries, err := os.ReadDir(path)
		if err != nil {
			return text + ", " + fault(err)
		}
		if len(entries) == 0 {
			text += ", empty"
		}
		return text
	}
	for _, way := range []struct {
		name string
		flag int
	}{{"read", unix.O_RDONLY}, {"write", unix.O_WRONLY}} {
		fd, err := unix.Open(path, way.flag|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.Close(fd)
		}
		text += ", " + way.name + " " + fault(err)
	}
	return text
}

func inAny(path string, dirs ...string) bool {
	for _, dir := range dirs {
		if strings.HasPrefix(path, dir+"/") {
			return true
		}
	}
	return false
}
