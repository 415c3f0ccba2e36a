package bwrap

// IOPriority is a class and a level of ioprio_set(2).
type IOPriority struct {
	Class    int `json:"class"`
	Priority int `json:"priority,omitempty"`
}

// Scheduler is what sched_setattr(2) takes, with its numbers; the times are in
// nanoseconds.
type Scheduler struct {
	Policy   uint32 `json:"policy"`
	Nice     int32  `json:"nice,omitempty"`
	Priority uint32 `json:"priority,omitempty"`
	Flags    uint64 `json:"flags,omitempty"`
	Runtime  uint64 `json:"runtime,omitempty"`
	Deadline uint64 `json:"deadline,omitempty"`
	Period   uint64 `json:"period,omitempty"`
}

// urgent says that the process goes before others, for which the init needs
// CAP_SYS_NICE.
func (p *Process) urgent() bool {
	s := p.Scheduler
	return s != nil && (s.Nice < 0 || s.Priority > 0 || s.Runtime > 0) || p.IOPriority != nil && p.IOPriority.Class == 1
}
