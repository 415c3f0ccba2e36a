package runner

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// sysctl is one file below /proc/sys and what is written to it.
type sysctl struct {
	Path, Value exact
	Optional    bool `json:",omitempty"`
}

// setKernel sets what the kernel keeps for the sandbox's namespaces. It comes
// before the late mounts, which make /proc/sys read-only.
func setKernel(s *initSpec) error {
	if len(s.Domainname) > 0 {
		if err := unix.Setdomainname(s.Domainname); err != nil {
			return fmt.Errorf("domainname: %w", err)
		}
	}
	for _, set := range s.Sysctl {
		if err := writeSysctl(set); err != nil && !set.Optional {
			return fmt.Errorf("linux.sysctl: %s: %w", set.Path, err)
		}
	}
	return nil
}

func writeSysctl(s sysctl) error {
	fd, err := unix.Open("/proc/sys/"+string(s.Path), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, s.Value)
	return err
}
