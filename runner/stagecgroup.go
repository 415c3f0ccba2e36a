package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// sysfs mounts a sysfs of the calling thread's network namespace. Where the
// kernel keeps that from a user namespace, as it does in a container that has
// parts of /sys masked, the sysfs stays that is there already.
func (m *stageMounter) sysfs(o bwrap.Sysfs) error {
	flags := mountFlags(o.Attr) | readOnlyFlag(o.ReadOnly)
	err := m.mount(o.Dst, "sysfs", flags, "")
	if err == unix.EBUSY {
		// The very same lies there, where the root is the host's.
		if err = m.mount(o.Dst, "tmpfs", 0, "size=4k"); err == nil {
			err = m.mount(o.Dst, "sysfs", flags, "")
		}
	}
	if err != unix.EPERM {
		return err
	}
	fd, e := m.target(o.Dst)
	if e != nil {
		return e
	}
	defer unix.Close(fd)
	var st unix.Statfs_t
	if unix.Fstatfs(fd, &st) == nil && st.Type == unix.SYSFS_MAGIC {
		return nil
	}
	return err
}

// cgroup mounts the control groups of the calling process's cgroup namespace.
// /proc must be that of its pid namespace. As with sysfs, what the kernel
// refuses to mount leaves in place what is there.
func (m *stageMounter) cgroup(o bwrap.Cgroup) error {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	flags, readOnly := mountFlags(o.Attr), readOnlyFlag(o.ReadOnly)
	hierarchies := versionOne(string(own))
	if len(hierarchies) == 0 {
		if err := m.mount(o.Dst, "cgroup2", flags|readOnly, ""); err != nil && err != unix.EPERM {
			return fmt.Errorf("cgroup2: %w", err)
		}
		return nil
	}
	if err := m.mount(o.Dst, "tmpfs", flags, "mode=755"); err != nil {
		return fmt.Errorf("tmpfs: %w", err)
	}
	for i, h := range hierarchies {
		name := strings.TrimPrefix(h, "name=")
		dst := filepath.Join(o.Dst, name)
		if err := m.mkdir(bwrap.Dir{Dst: dst, Mode: 0o755}); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		err := m.mount(dst, "cgroup", flags|readOnly, h)
		if err == unix.EPERM && i == 0 {
			return m.unmount(o.Dst)
		}
		if err != nil {
			return fmt.Errorf("cgroup %s: %w", h, err)
		}
		if all := strings.Split(name, ","); len(all) > 1 {
			for _, one := range all {
				if err := m.symlink(bwrap.Symlink{Target: name, Dst: filepath.Join(o.Dst, one)}); err != nil {
					return fmt.Errorf("%s: %w", one, err)
				}
			}
		}
	}
	if !o.ReadOnly {
		return nil
	}
	return m.remountRO(bwrap.RemountRO{Dst: o.Dst})
}

func (m *stageMounter) unmount(dst string) error {
	fd, err := m.target(dst)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Unmount(fmt.Sprintf("/proc/self/fd/%d", fd), unix.MNT_DETACH)
}

// versionOne gives the hierarchies of version 1 in what /proc/PID/cgroup
// holds, each as its mount's options name it: "cpu,cpuacct", "name=systemd".
func versionOne(own string) []string {
	var list []string
	for line := range strings.Lines(own) {
		// cgroups(7): hierarchy, controllers, path
		if f := strings.SplitN(line, ":", 3); len(f) == 3 && f[0] != "0" && f[1] != "" {
			list = append(list, f[1])
		}
	}
	slices.Sort(list)
	return list
}

func readOnlyFlag(readOnly bool) uintptr {
	if readOnly {
		return unix.MS_RDONLY
	}
	return 0
}
