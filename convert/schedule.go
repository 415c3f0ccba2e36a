package convert

import (
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// policies are those of sched(7), by the Spec's names.
var policies = map[specs.LinuxSchedulerPolicy]uint32{
	specs.SchedOther: 0, specs.SchedFIFO: 1, specs.SchedRR: 2, specs.SchedBatch: 3, specs.SchedIdle: 5, specs.SchedDeadline: 6,
}

// schedulerFlags are those of sched_setattr(2).
var schedulerFlags = map[specs.LinuxSchedulerFlag]uint64{
	specs.SchedFlagResetOnFork: 1, specs.SchedFlagReclaim: 2, specs.SchedFlagDLOverrun: 4,
	specs.SchedFlagKeepPolicy: 8, specs.SchedFlagKeepParams: 16,
}

// ioClasses are those of ioprio_set(2).
var ioClasses = map[specs.IOPriorityClass]int{specs.IOPRIO_CLASS_RT: 1, specs.IOPRIO_CLASS_BE: 2, specs.IOPRIO_CLASS_IDLE: 3}

// schedule gives the plan the Spec's scheduling, for CPU and I/O, and its
// execution domain.
func (p *planner) schedule(out *bwrap.Process) {
	if d := p.spec.Linux.Personality; d != nil {
		out.Personality = p.personality(d)
	}
	if io := p.spec.Process.IOPriority; io != nil {
		class, ok := ioClasses[io.Class]
		switch {
		case !ok:
			p.fail(fmt.Errorf("process.ioPriority.class: %q is unknown", io.Class))
		case io.Priority < 0 || io.Priority > 7:
			p.fail(fmt.Errorf("process.ioPriority.priority: %d is not between 0 and 7", io.Priority))
		}
		out.IOPriority = &bwrap.IOPriority{Class: class, Priority: io.Priority}
	}
	s := p.spec.Process.Scheduler
	if s == nil {
		return
	}
	policy, ok := policies[s.Policy]
	if !ok {
		p.fail(fmt.Errorf("process.scheduler.policy: %q is none of Linux's", s.Policy))
	}
	if s.Nice < -20 || s.Nice > 19 {
		p.fail(fmt.Errorf("process.scheduler.nice: %d is not between -20 and 19", s.Nice))
	}
	if s.Priority < 0 || s.Priority > 99 {
		p.fail(fmt.Errorf("process.scheduler.priority: %d is not between 0 and 99", s.Priority))
	}
	out.Scheduler = &bwrap.Scheduler{Policy: policy, Nice: s.Nice, Priority: uint32(max(s.Priority, 0)), Runtime: s.Runtime, Deadline: s.Deadline, Period: s.Period}
	for _, f := range s.Flags {
		bit, ok := schedulerFlags[f]
		if !ok {
			p.fail(fmt.Errorf("process.scheduler.flags: %q can't be set, as the Spec has no value for it", f))
		}
		out.Scheduler.Flags |= bit
	}
}

// personality is the number of an execution domain.
func (p *planner) personality(d *specs.LinuxPersonality) *uint32 {
	var n uint32
	switch d.Domain {
	case specs.PerLinux:
	case specs.PerLinux32:
		n = 8
	default:
		p.fail(fmt.Errorf("linux.personality.domain: %q is neither LINUX nor LINUX32", d.Domain))
	}
	if len(d.Flags) > 0 {
		p.fail(fmt.Errorf("linux.personality.flags: the runtime-spec has none, and not %q", d.Flags[0]))
	}
	return &n
}
