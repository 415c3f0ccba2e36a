package convert

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// time plans a time namespace, which is the runner's to make, and how far its
// clocks are from the host's.
func (p *planner) time(plan *bwrap.Plan) {
	offsets := p.spec.Linux.TimeOffsets
	i := slices.IndexFunc(p.spec.Linux.Namespaces, func(ns specs.LinuxNamespace) bool { return ns.Type == specs.TimeNamespace })
	switch {
	case i < 0 && len(offsets) > 0:
		p.fail(errors.New("linux.timeOffsets: need a time namespace in linux.namespaces"))
	case i < 0:
	case p.host.Joined[p.spec.Linux.Namespaces[i].Path]:
		if len(offsets) > 0 {
			p.gaps = append(p.gaps, Gap{Field: "linux.timeOffsets", Effect: Lacks, Reason: "the time namespace is joined, and keeps its own clocks"})
		}
	case !p.Features.Stage:
		p.gaps = append(p.gaps, Gap{
			Field: fmt.Sprintf("linux.namespaces[%d].type", i), Effect: Lacks,
			Reason: "no time namespace can be made before bubblewrap is started: " + p.Features.Reason,
		})
	default:
		plan.Namespaces.Time = true
	}
	for _, clock := range slices.Sorted(maps.Keys(offsets)) {
		o := offsets[clock]
		switch {
		case clock != "monotonic" && clock != "boottime":
			p.fail(fmt.Errorf("linux.timeOffsets: %q is no clock that can be set (has: boottime, monotonic)", clock))
		case o.Nanosecs >= 1e9:
			p.fail(fmt.Errorf("linux.timeOffsets: %s: %d nanoseconds are a second or more", clock, o.Nanosecs))
		case plan.Namespaces.Time:
			plan.Namespaces.Clocks = append(plan.Namespaces.Clocks, bwrap.Clock{Name: clock, Seconds: o.Secs, Nanoseconds: o.Nanosecs})
		}
	}
}
