package convert

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// Cgroup is what the host has of control groups for a sandbox.
// It is asked for where a Spec has limits or joins a pid namespace.
type Cgroup struct {
	Parent  string            // the directory of the group, of version 2, to make one in; "" for none
	Reason  string            // why there is none
	Lacking map[string]string // the controllers that Parent lacks, with the reason
}

// Limits gives the files of a control group that hold what the Spec limits,
// in the terms of cgroup version 2, and the controllers that they need.
func Limits(s *specs.Spec) (files []bwrap.CgroupFile, controllers []string) {
	if s.Linux == nil || s.Linux.Resources == nil {
		return nil, nil
	}
	l := limits{}
	r := s.Linux.Resources
	l.memory(r.Memory)
	l.cpu(r.CPU)
	if p := r.Pids; p != nil && p.Limit != nil && *p.Limit > 0 {
		l.add("linux.resources.pids", "pids.max", strconv.FormatInt(*p.Limit, 10))
	}
	l.io(r.BlockIO)
	for _, h := range r.HugepageLimits {
		// What is reserved and what is in use, as runc has it: either by itself
		// leaves a way around.
		for _, kind := range []string{".rsvd.max", ".max"} {
			l.add("linux.resources.hugepageLimits", "hugetlb."+h.Pagesize+kind, strconv.FormatUint(h.Limit, 10))
		}
	}
	l.rdma(r.Rdma)
	for _, name := range slices.Sorted(maps.Keys(r.Unified)) {
		l.add("linux.resources.unified", name, r.Unified[name])
	}
	for _, f := range l.files {
		if c := controller(f); c != "cgroup" {
			controllers = append(controllers, c)
		}
	}
	slices.Sort(controllers)
	return l.files, slices.Compact(controllers)
}

// controller is the one whose file it is.
func controller(f bwrap.CgroupFile) string {
	c, _, _ := strings.Cut(f.Name, ".")
	return c
}

type limits struct{ files []bwrap.CgroupFile }

func (l *limits) add(field, name, value string) {
	l.files = append(l.files, bwrap.CgroupFile{Field: field, Name: name, Value: value})
}

func (l *limits) memory(m *specs.LinuxMemory) {
	const field = "linux.resources.memory"
	if m == nil {
		return
	}
	limit := int64(0)
	if m.Limit != nil && *m.Limit > 0 {
		limit = *m.Limit
		l.add(field, "memory.max", strconv.FormatInt(limit, 10))
	}
	if m.Reservation != nil && *m.Reservation > 0 {
		l.add(field, "memory.low", strconv.FormatInt(*m.Reservation, 10))
	}
	// The Spec's is memory and swap together.
	if m.Swap != nil && limit > 0 && *m.Swap >= limit {
		l.add(field, "memory.swap.max", strconv.FormatInt(*m.Swap-limit, 10))
	}
}

func (l *limits) cpu(c *specs.LinuxCPU) {
	const field = "linux.resources.cpu"
	if c == nil {
		return
	}
	if c.Shares != nil && *c.Shares > 0 {
		// 2 to 262144 there, 1 to 10000 here, as runc and crun have it.
		shares := min(max(*c.Shares, 2), 262144)
		l.add(field, "cpu.weight", strconv.FormatUint(1+(shares-2)*9999/262142, 10))
	}
	if c.Quota != nil && *c.Quota > 0 || c.Period != nil && *c.Period > 0 {
		quota, period := "max", uint64(100000)
		if c.Quota != nil && *c.Quota > 0 {
			quota = strconv.FormatInt(*c.Quota, 10)
		}
		if c.Period != nil && *c.Period > 0 {
			period = *c.Period
		}
		l.add(field, "cpu.max", fmt.Sprintf("%s %d", quota, period))
	}
	if c.Burst != nil {
		l.add(field, "cpu.max.burst", strconv.FormatUint(*c.Burst, 10))
	}
	if c.Idle != nil {
		l.add(field, "cpu.idle", strconv.FormatInt(*c.Idle, 10))
	}
	if c.Cpus != "" {
		l.add(field, "cpuset.cpus", c.Cpus)
	}
	if c.Mems != "" {
		l.add(field, "cpuset.mems", c.Mems)
	}
}

func (l *limits) io(b *specs.LinuxBlockIO) {
	const field = "linux.resources.blockIO"
	if b == nil {
		return
	}
	// 10 to 1000 there, 1 to 10000 here.
	weight := func(w uint16) uint64 { return 1 + (min(max(uint64(w), 10), 1000)-10)*9999/990 }
	if b.Weight != nil && *b.Weight > 0 {
		l.add(field, "io.weight", strconv.FormatUint(weight(*b.Weight), 10))
	}
	for _, d := range b.WeightDevice {
		if d.Weight != nil && *d.Weight > 0 {
			l.add(field, "io.weight", fmt.Sprintf("%d:%d %d", d.Major, d.Minor, weight(*d.Weight)))
		}
	}
	for _, t := range []struct {
		key     string
		devices []specs.LinuxThrottleDevice
	}{
		{"rbps", b.ThrottleReadBpsDevice}, {"wbps", b.ThrottleWriteBpsDevice},
		{"riops", b.ThrottleReadIOPSDevice}, {"wiops", b.ThrottleWriteIOPSDevice},
	} {
		for _, d := range t.devices {
			l.add(field, "io.max", fmt.Sprintf("%d:%d %s=%d", d.Major, d.Minor, t.key, d.Rate))
		}
	}
}

// rdma limits each device by a write of its own, which is how the kernel reads
// them.
func (l *limits) rdma(devices map[string]specs.LinuxRdma) {
	for _, name := range slices.Sorted(maps.Keys(devices)) {
		line := name
		if n := devices[name].HcaHandles; n != nil {
			line += fmt.Sprintf(" hca_handle=%d", *n)
		}
		if n := devices[name].HcaObjects; n != nil {
			line += fmt.Sprintf(" hca_object=%d", *n)
		}
		if line != name {
			l.add("linux.resources.rdma", "rdma.max", line)
		}
	}
}

// cgroup plans the limits that the host has a place for; the others are gaps,
// a field each.
func (p *planner) cgroup(plan *bwrap.Plan) {
	files, _ := Limits(p.spec)
	host := p.host.Cgroup
	var planned []bwrap.CgroupFile
	told := map[string]bool{}
	for _, f := range files {
		gap := Gap{Field: f.Field, Effect: Weakens, Reason: noCgroup}
		if host.Parent != "" {
			if gap.Reason = host.Lacking[controller(f)]; gap.Reason == "" {
				planned = append(planned, f)
				continue
			}
		} else if host.Reason != "" {
			gap.Reason += ": " + host.Reason
		}
		if told[f.Field] {
			continue
		}
		told[f.Field] = true
		switch f.Field {
		case "linux.resources.unified":
			gap.Remedy = scopeHint + "PROPERTY=…, for each"
		case "linux.resources.memory":
			gap.Remedy = scopeHint + "MemoryMax=…"
		case "linux.resources.pids":
			gap.Remedy = scopeHint + "TasksMax=…"
		case "linux.resources.cpu":
			gap.Effect, gap.Remedy = Lacks, scopeHint+"CPUQuota=…"
		case "linux.resources.blockIO":
			gap.Effect, gap.Remedy = Lacks, scopeHint+"IOWeight=…"
		default: // systemd has no property for it
			gap.Remedy = otherRuntime
		}
		p.gaps = append(p.gaps, gap)
	}
	if len(planned) > 0 { // that of a joined pid namespace is the same
		plan.Cgroup = &bwrap.CgroupLimits{Parent: host.Parent, Files: planned}
	}
}

// oldLimits finds limits that cgroup version 2 does not have.
func (g *gapFinder) oldLimits(r *specs.LinuxResources) {
	if m := r.Memory; m != nil {
		//lint:ignore SA1019 bundles still set the kernel's own limit
		for _, limit := range []*int64{m.Kernel, m.KernelTCP} {
			if limit != nil && *limit > 0 {
				g.lacks("linux.resources.memory", "cgroup v2 has no limit of the kernel's memory by itself")
				break
			}
		}
		if m.DisableOOMKiller != nil && *m.DisableOOMKiller {
			g.lacks("linux.resources.memory.disableOOMKiller", "cgroup v2 can't do without")
		}
	}
	if c := r.CPU; c != nil && (c.RealtimePeriod != nil || c.RealtimeRuntime != nil) {
		g.lacks("linux.resources.cpu.realtimeRuntime", "cgroup v2 has no such limit")
	}
	if b := r.BlockIO; b != nil && (b.LeafWeight != nil || slices.ContainsFunc(b.WeightDevice, func(d specs.LinuxWeightDevice) bool { return d.LeafWeight != nil })) {
		g.lacks("linux.resources.blockIO.leafWeight", "cgroup v2 has no weight of a group's own processes beside its children")
	}
}
