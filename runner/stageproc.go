package runner

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// mount makes the stage, and hands on what the init is to have of it.
func (spec *stageSpec) mount() error {
	if len(spec.Dir) > 0 {
		s, err := spec.stage()
		if err != nil {
			return err
		}
		handed, err := mountStage(s, true, false, nil)
		if err != nil {
			return err
		}
		if handed >= 0 {
			if err := unix.Dup3(handed, spec.HandedFD, 0); err != nil {
				return fmt.Errorf("stage: hand on: %w", err)
			}
		}
	}
	if !spec.Proc {
		return nil
	}
	// In bubblewrap's words, since it would fail in the same way.
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("stage: %s on /proc: %w", procRefused, err)
	}
	return nil
}

// foreignProc says whether /proc may lack the processes that bubblewrap looks
// for there. It looks for its child's number in its own pid namespace, which
// is not the one that /proc shows: on a host any of the kernel's threads will
// do for it, in a container or with hidepid there may be none of that number.
func foreignProc() bool {
	const first = 0xeffffffc // PROC_PID_INIT_INO, of the first pid namespace
	var st unix.Stat_t
	return unix.Stat("/proc/self/ns/pid", &st) != nil || st.Ino != first || unix.Access("/proc/2/ns", unix.F_OK) != nil
}
