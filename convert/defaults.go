package convert

import (
	"cmp"
	"fmt"
	"io/fs"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/internal/inroot"
)

// kernelMounts are the file systems that every container has. An ordinary
// caller can't mount a sysfs without a network namespace of its own, so it
// sees the host's /sys. Group 5 is tty's, where there is such an id.
func kernelMounts(hostSys, tty bool) []specs.Mount {
	devpts := []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}
	if tty {
		devpts = append(devpts, "gid=5")
	}
	ms := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "noexec", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: devpts},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
	}
	if hostSys {
		return append(ms, specs.Mount{Destination: "/sys", Type: "bind", Source: "/sys", Options: []string{"rbind", "rprivate", "nosuid", "noexec", "nodev", "ro"}})
	}
	return append(ms,
		specs.Mount{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "relatime", "ro"}},
	)
}

// scratch is a writable directory that vanishes and starts as the image has
// it, owner and mode included.
func (c *conversion) scratch(destination string) specs.Mount {
	m := specs.Mount{Destination: destination, Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "tmpcopyup"}}
	info, missing := c.root.look(destination)
	switch {
	case destination == "/tmp":
		m.Options = append(m.Options, "mode=1777")
	case missing:
		// Without a directory to copy the mode from, a tmpfs is 1777.
		m.Options = append(m.Options, "mode=755")
	}
	// runc copies the content and the mode, and not the directory's owner. In
	// a user namespace an owner without a mapping would fail the mount.
	if info != nil && c.root.Owner != nil && !c.single() {
		if uid, gid := c.root.Owner(info); uid != 0 || gid != 0 {
			m.Options = append(m.Options, fmt.Sprintf("uid=%d", uid), fmt.Sprintf("gid=%d", gid))
		}
	}
	return m
}

// look finds what is at name, or that it is missing. Neither is said of what
// can't be resolved: that is for the planner to report, who knows the other
// mounts.
func (r Rootfs) look(name string) (info fs.FileInfo, missing bool) {
	if r.FS == nil {
		return nil, true
	}
	p, err := inroot.Resolve(r.FS, name)
	if err != nil || p.Missing != "" {
		return nil, err == nil
	}
	info, err = r.FS.Lstat(cmp.Or(p.Name[1:], "."))
	if err != nil {
		return nil, false
	}
	return info, false
}
