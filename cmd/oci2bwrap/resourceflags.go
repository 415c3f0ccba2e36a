package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/pflag"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/runner"
)

// resourceFlags limit what the sandbox may use, through a control group.
type resourceFlags struct {
	memory     string
	memorySwap string
	cpus       float64
	cpuset     string
	pidsLimit  int64

	resourceSet *pflag.FlagSet
}

func (f *resourceFlags) AddFlags(fs *pflag.FlagSet) {
	f.resourceSet = fs
	fs.StringVarP(&f.memory, "memory", "m", "", "memory limit: `BYTES[bkmg]`; the limits need a control group v2 that is the caller's")
	fs.StringVar(&f.memorySwap, "memory-swap", "", "limit of memory and swap together: `BYTES[bkmg]`")
	fs.Float64Var(&f.cpus, "cpus", 0, "`number` of CPUs, parts of one too")
	fs.StringVar(&f.cpuset, "cpuset-cpus", "", "the CPUs to run on: `0-3,5`")
	fs.Int64Var(&f.pidsLimit, "pids-limit", 0, "`number` of processes and threads, bubblewrap's among them; -1 is no limit")
}

// options fills in what convert takes.
func (f *resourceFlags) options(o *convert.Options) error {
	r := &specs.LinuxResources{}
	if f.memory != "" {
		limit, err := parseSize("--memory", f.memory)
		if err != nil {
			return err
		}
		r.Memory = &specs.LinuxMemory{Limit: &limit}
	}
	if f.memorySwap != "" {
		swap, err := parseSize("--memory-swap", f.memorySwap)
		if err != nil {
			return err
		}
		if r.Memory == nil || swap < *r.Memory.Limit {
			return fmt.Errorf("--memory-swap: %q is of memory and swap together, and needs a --memory that is no greater", f.memorySwap)
		}
		r.Memory.Swap = &swap
	}
	if f.resourceSet.Changed("cpus") {
		if f.cpus < 0.01 || f.cpus > 1e6 || math.IsNaN(f.cpus) {
			return fmt.Errorf("--cpus: %v is not between 0.01 and 1000000", f.cpus)
		}
		period, quota := uint64(100000), int64(math.Round(f.cpus*100000))
		r.CPU = &specs.LinuxCPU{Period: &period, Quota: &quota}
	}
	if f.cpuset != "" {
		if r.CPU == nil {
			r.CPU = &specs.LinuxCPU{}
		}
		r.CPU.Cpus = f.cpuset
	}
	if f.pidsLimit > 0 {
		r.Pids = &specs.LinuxPids{Limit: &f.pidsLimit}
	} else if f.pidsLimit < -1 {
		return fmt.Errorf("--pids-limit: %d is neither a number of processes nor -1", f.pidsLimit)
	}
	if r.Memory != nil || r.CPU != nil || r.Pids != nil {
		o.Resources = r
	}
	return nil
}

// parseSize reads a size of podman's: a number and perhaps one of b, k, m, g.
func parseSize(flag, s string) (int64, error) {
	digits, factor := s, int64(1)
	if i := strings.IndexAny(s, "bkmgBKMG"); i >= 0 && i == len(s)-1 {
		digits = s[:i]
		factor = map[byte]int64{'b': 1, 'k': 1 << 10, 'm': 1 << 20, 'g': 1 << 30}[s[i]|0x20]
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64/factor {
		return 0, fmt.Errorf("%s: %q is no size (such as 512m)", flag, s)
	}
	return n * factor, nil
}

// lookForCgroup tells where the limits of the Spec could be set, and the
// processes be held together that have no pid namespace of their own.
func lookForCgroup(h *convert.Host, s *specs.Spec) {
	files, controllers := convert.Limits(s)
	joins := slices.ContainsFunc(s.Linux.Namespaces, func(ns specs.LinuxNamespace) bool {
		return ns.Type == specs.PIDNamespace && ns.Path != ""
	})
	if len(files) == 0 && !joins {
		return
	}
	dir, lacking, err := runner.FindCgroup(controllers)
	if err != nil {
		h.Cgroup.Reason = err.Error()
		return
	}
	h.Cgroup.Parent, h.Cgroup.Lacking = dir, lacking
}
