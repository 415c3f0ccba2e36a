package runner

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

type capMasks struct {
	Bounding, Effective, Permitted, Inheritable, Ambient uint64
}

// setIDs drops the bounding set and takes the ids of the command, keeping
// the permitted capabilities for what is left to do.
func setIDs(s *initSpec) error {
	for c := 0; c <= s.KernelCaps; c++ {
		if s.Caps.Bounding&(1<<c) != 0 {
			continue
		}
		if has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0); err != nil || has == 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil {
			return fmt.Errorf("process.capabilities.bounding: drop %d: %w", c, err)
		}
	}
	if s.KeepIDs {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("keep capabilities: %w", err)
	}
	// The plain system calls: Go's wrappers would change every thread.
	groups := make([]uint32, len(s.Groups)+1) // one more: its address is taken
	for i, g := range s.Groups {
		groups[i] = uint32(g)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(s.Groups)), uintptr(unsafe.Pointer(&groups[0])), 0); e != 0 {
		return fmt.Errorf("process.user.additionalGids: %w", e)
	}
	gid, uid := uintptr(s.GID), uintptr(s.UID)
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESGID, gid, gid, gid); e != 0 {
		return fmt.Errorf("process.user.gid: %d: %w", s.GID, e)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); e != 0 {
		return fmt.Errorf("process.user.uid: %d: %w", s.UID, e)
	}
	return nil
}

// setCaps gives the thread exactly the sets of the spec. For a user id other
// than 0 the effective set of exec comes from the ambient one.
func setCaps(s *initSpec) error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("process.capabilities.ambient: %w", err)
	}
	c := s.Caps
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{
		{Effective: uint32(c.Effective), Permitted: uint32(c.Permitted), Inheritable: uint32(c.Inheritable)},
		{Effective: uint32(c.Effective >> 32), Permitted: uint32(c.Permitted >> 32), Inheritable: uint32(c.Inheritable >> 32)},
	}
	if err := unix.Capset(&hdr, &data[0]); err != nil {
		return fmt.Errorf("process.capabilities: %w", err)
	}
	for n := 0; n <= s.KernelCaps; n++ {
		if c.Ambient&(1<<n) == 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(n), 0, 0); err != nil {
			return fmt.Errorf("process.capabilities.ambient: %d: %w", n, err)
		}
	}
	return nil
}
