package runner

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// rlimits are the resources of getrlimit(2) by name.
var rlimits = map[string]int{
	"RLIMIT_CPU": 0, "RLIMIT_FSIZE": 1, "RLIMIT_DATA": 2, "RLIMIT_STACK": 3, "RLIMIT_CORE": 4, "RLIMIT_RSS": 5,
	"RLIMIT_NPROC": 6, "RLIMIT_NOFILE": 7, "RLIMIT_MEMLOCK": 8, "RLIMIT_AS": 9, "RLIMIT_LOCKS": 10,
	"RLIMIT_SIGPENDING": 11, "RLIMIT_MSGQUEUE": 12, "RLIMIT_NICE": 13, "RLIMIT_RTPRIO": 14, "RLIMIT_RTTIME": 15,
}

// newInitSpec says what the init has to do; the descriptors come later.
func newInitSpec(c *bwrap.Command) (*initSpec, error) {
	p := c.Process
	s := &initSpec{
		Args: exactly(p.Args), Env: exactly(p.Env), Cwd: exact(p.Cwd), UID: p.UID, GID: p.GID, Groups: p.Groups,
		KeepIDs: c.KeepGroups, Umask: p.Umask, OOMScore: p.OOMScoreAdj, StartHooks: hookSpecs(p.StartHooks),
	}
	for _, set := range []struct {
		mask  *uint64
		names []string
	}{
		{&s.Caps.Bounding, p.Capabilities.Bounding}, {&s.Caps.Effective, p.Capabilities.Effective},
		{&s.Caps.Permitted, p.Capabilities.Permitted}, {&s.Caps.Inheritable, p.Capabilities.Inheritable},
		{&s.Caps.Ambient, p.Capabilities.Ambient},
	} {
		mask, err := bwrap.CapMask(set.names)
		if err != nil {
			return nil, fmt.Errorf("process.capabilities: %w", err)
		}
		*set.mask = mask
	}
	s.Reap = p.Init
	s.Schedule = schedule{Personality: p.Personality, IO: p.IOPriority, CPU: p.Scheduler}
	if p.Terminal {
		s.Terminal = &terminalSpec{Rows: p.Rows, Cols: p.Columns}
	}
	for _, l := range p.Rlimits {
		n, ok := rlimits[l.Type]
		if !ok {
			return nil, fmt.Errorf("process.rlimits: unknown resource %q", l.Type)
		}
		s.Rlimits = append(s.Rlimits, rlimit{Resource: n, Soft: l.Soft, Hard: l.Hard})
	}
	late, err := wireOps(c.Late)
	if err != nil {
		return nil, err
	}
	s.Late = late
	if p.Seccomp != nil {
		s.Seccomp = filter(*p.Seccomp)
	}
	s.Domainname = exact(c.Domainname)
	for _, set := range c.Sysctl {
		s.Sysctl = append(s.Sysctl, sysctl{exact(set.Path), exact(set.Value), set.Optional})
	}
	last, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	if err != nil {
		return nil, err
	}
	if s.KernelCaps, err = strconv.Atoi(strings.TrimSpace(string(last))); err != nil {
		return nil, fmt.Errorf("/proc/sys/kernel/cap_last_cap: %w", err)
	}
	return s, nil
}
