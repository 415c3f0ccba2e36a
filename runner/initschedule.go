package runner

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// schedule is how the kernel is to treat the command.
type schedule struct {
	Personality *uint32
	IO          *bwrap.IOPriority
	CPU         *bwrap.Scheduler
}

// set does it for the calling thread, which is the one that becomes the
// command.
func (s *schedule) set() error {
	if s.Personality != nil {
		if _, _, e := unix.RawSyscall(unix.SYS_PERSONALITY, uintptr(*s.Personality), 0, 0); e != 0 {
			return fmt.Errorf("linux.personality: %w", e)
		}
	}
	if s.IO != nil {
		const process, classShift = 1, 13
		if _, _, e := unix.RawSyscall(unix.SYS_IOPRIO_SET, process, 0, uintptr(s.IO.Class<<classShift|s.IO.Priority)); e != 0 {
			return fmt.Errorf("process.ioPriority: %w", lacksNice(e))
		}
	}
	if c := s.CPU; c != nil {
		attr := unix.SchedAttr{
			Size: unix.SizeofSchedAttr, Policy: c.Policy, Flags: c.Flags, Nice: c.Nice, Priority: c.Priority,
			Runtime: c.Runtime, Deadline: c.Deadline, Period: c.Period,
		}
		if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
			return fmt.Errorf("process.scheduler: %w", lacksNice(err))
		}
	}
	return nil
}

// lacksNice says what the kernel wants, of the machine's root.
func lacksNice(err error) error {
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w: this needs CAP_SYS_NICE outside of any user namespace", err)
	}
	return err
}
