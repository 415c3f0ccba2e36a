package runner

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernelCalls tries the system calls that every sandbox is made with. What
// they are told is wrong, and a kernel that has them says so.
func kernelCalls() Check {
	check := Check{Name: "kernel", State: OK}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		check.Found = "Linux " + unix.ByteSliceToString(u.Release[:])
	}
	var missing []string
	for _, call := range []struct {
		name  string
		since string
		try   func() error
	}{
		{"memfd_create", "3.17", func() error { _, err := unix.MemfdCreate("x", -1); return err }},
		{"pidfd_send_signal", "5.1", func() error { return unix.PidfdSendSignal(-1, 0, nil, 0) }},
		{"open_tree", "5.2", func() error { _, err := unix.OpenTree(-1, "", 0); return err }},
		{"fsopen", "5.2", func() error { _, err := unix.Fsopen("", ^0); return err }},
		{"pidfd_open", "5.3", func() error { _, err := unix.PidfdOpen(-1, 0); return err }},
		{"openat2", "5.6", func() error { _, err := unix.Openat2(-1, "", &unix.OpenHow{}); return err }},
		{"close_range", "5.9", func() error { return unix.CloseRange(1, 0, 0) }},
	} {
		if errors.Is(call.try(), unix.ENOSYS) {
			missing = append(missing, call.name+" (Linux "+call.since+")")
		}
	}
	if len(missing) > 0 {
		check.State, check.Fatal, check.Cost = Missing, true, "nothing runs"
		check.Found += ", without " + strings.Join(missing, ", ")
		check.Remedy = "Linux 5.11 or later; in a container, a profile that knows these system calls"
		return check
	}
	// Without a read-only detached mount the init's binary is copied for root.
	if err := unix.MountSetattr(-1, "", 0, &unix.MountAttr{Propagation: 1}); errors.Is(err, unix.ENOSYS) {
		check.State, check.Cost, check.Remedy = Limited, "root's sandboxes start slower: there is no mount_setattr", "Linux 5.12 or later"
	}
	return check
}

// seccomp asks the kernel whether it knows filters; nothing is installed.
func seccomp() Check {
	const retAllow = 0x7fff0000
	action := uint32(retAllow)
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	if e == 0 {
		return Check{Name: "seccomp", State: OK, Found: "filters of system calls"}
	}
	return Check{
		Name: "seccomp", State: Limited, Found: e.Error(), Cost: "no filter of system calls: run fails unless told to do without",
		Remedy: "--security-opt seccomp=unconfined, or a kernel with CONFIG_SECCOMP_FILTER",
	}
}

// cgroup looks for a cgroup of version 2 that the caller may divide.
func cgroup() Check {
	const cost, remedy = "no limits of memory, processes and CPU for a sandbox of its own", "systemd-run --user --scope -p Delegate=yes oci2bwrap …"
	check := Check{Name: "cgroup", State: Limited, Cost: cost, Remedy: remedy}
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		check.Found = err.Error()
		return check
	}
	own, ok := unifiedCgroup(string(data))
	if !ok {
		check.Found, check.Remedy = "no cgroups of version 2", "boot with systemd.unified_cgroup_hierarchy=1"
		return check
	}
	var st unix.Statfs_t
	if err := unix.Statfs("/sys/fs/cgroup", &st); err != nil || st.Type != unix.CGROUP2_SUPER_MAGIC {
		check.Found, check.Remedy = "/sys/fs/cgroup is not version 2 alone", "boot with systemd.unified_cgroup_hierarchy=1"
		return check
	}
	for _, file := range []string{"", "/cgroup.procs", "/cgroup.subtree_control"} {
		if err := unix.Access("/sys/fs/cgroup"+own+file, unix.W_OK); err != nil {
			check.Found = fmt.Sprintf("/sys/fs/cgroup%s is not the caller's: %v", own+file, err)
			return check
		}
	}
	return Check{Name: "cgroup", State: OK, Found: "/sys/fs/cgroup" + own}
}

// unifiedCgroup finds the caller's cgroup of version 2 in what /proc/self/cgroup
// says.
func unifiedCgroup(data string) (string, bool) {
	for line := range strings.Lines(data) {
		if own, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			return strings.TrimSuffix(own, "/"), true
		}
	}
	return "", false
}
