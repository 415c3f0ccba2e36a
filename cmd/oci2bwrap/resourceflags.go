package main

import (
	"errors"
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
	memory            string
	memorySwap        string
	memoryReservation string
	cpus              float64
	cpuShares         uint64
	cpuPeriod         uint64
	cpuQuota          int64
	cpuset            string
	cpusetMems        string
	blkioWeight       uint16
	pidsLimit         int64

	resourceSet *pflag.FlagSet
}

func (f *resourceFlags) AddFlags(fs *pflag.FlagSet) {
	f.resourceSet = fs
	fs.StringVarP(&f.memory, "memory", "m", "", "memory limit: `BYTES[bkmg]`; the limits need a control group v2 that is the caller's")
	fs.StringVar(&f.memorySwap, "memory-swap", "", "limit of memory and swap together: `BYTES[bkmg]`; -1 is none for swap")
	fs.StringVar(&f.memoryReservation, "memory-reservation", "", "memory that is taken from it last: `BYTES[bkmg]`")
	fs.Float64Var(&f.cpus, "cpus", 0, "`number` of CPUs, parts of one too")
	fs.Uint64VarP(&f.cpuShares, "cpu-shares", "c", 0, "`weight` beside other control groups, 1024 is the usual one")
	fs.Uint64Var(&f.cpuPeriod, "cpu-period", 0, "`microseconds` that --cpu-quota is given anew in (default: 100000)")
	fs.Int64Var(&f.cpuQuota, "cpu-quota", 0, "`microseconds` of CPU time a period")
	fs.StringVar(&f.cpuset, "cpuset-cpus", "", "the CPUs to run on: `0-3,5`")
	fs.StringVar(&f.cpusetMems, "cpuset-mems", "", "the memory nodes to use: `0-3,5`")
	fs.Uint16Var(&f.blkioWeight, "blkio-weight", 0, "`weight` of its input and output, from 10 to 1000")
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
	if err := f.swap(r); err != nil {
		return err
	}
	if f.memoryReservation != "" {
		low, err := parseSize("--memory-reservation", f.memoryReservation)
		if err != nil {
			return err
		}
		if r.Memory == nil {
			r.Memory = &specs.LinuxMemory{}
		}
		r.Memory.Reservation = &low
	}
	if err := f.cpu(r); err != nil {
		return err
	}
	if f.resourceSet.Changed("blkio-weight") {
		if f.blkioWeight < 10 || f.blkioWeight > 1000 {
			return fmt.Errorf("--blkio-weight: %d is not between 10 and 1000", f.blkioWeight)
		}
		r.BlockIO = &specs.LinuxBlockIO{Weight: &f.blkioWeight}
	}
	if f.pidsLimit > 0 {
		r.Pids = &specs.LinuxPids{Limit: &f.pidsLimit}
	} else if f.pidsLimit < -1 {
		return fmt.Errorf("--pids-limit: %d is neither a number of processes nor -1", f.pidsLimit)
	}
	if r.Memory != nil || r.CPU != nil || r.Pids != nil || r.BlockIO != nil {
		o.Resources = r
	}
	return nil
}

// swap is --memory-swap, which is no good alone.
func (f *resourceFlags) swap(r *specs.LinuxResources) error {
	if f.memorySwap == "" {
		return nil
	}
	swap := int64(-1)
	if f.memorySwap != "-1" {
		var err error
		if swap, err = parseSize("--memory-swap", f.memorySwap); err != nil {
			return err
		}
	}
	if r.Memory == nil || swap >= 0 && swap < *r.Memory.Limit {
		return &hinted{fmt.Errorf("--memory-swap: %q is of memory and swap together, and needs a --memory that is no greater", f.memorySwap), "add --memory BYTES"}
	}
	r.Memory.Swap = &swap
	return nil
}

// cpu are the flags about CPUs.
func (f *resourceFlags) cpu(r *specs.LinuxResources) error {
	for _, list := range [][2]string{{"--cpuset-cpus", f.cpuset}, {"--cpuset-mems", f.cpusetMems}} {
		if strings.Trim(list[1], "0123456789,-") != "" {
			return fmt.Errorf("%s: %q is no list of numbers (such as 0-3,5)", list[0], list[1])
		}
	}
	c := &specs.LinuxCPU{Cpus: f.cpuset, Mems: f.cpusetMems}
	byTime := f.resourceSet.Changed("cpu-period") || f.resourceSet.Changed("cpu-quota")
	if f.resourceSet.Changed("cpus") {
		if byTime {
			return &hinted{errors.New("--cpus: --cpu-period and --cpu-quota say the same otherwise"), "give --cpus alone"}
		}
		if f.cpus < 0.01 || f.cpus > 1e6 || math.IsNaN(f.cpus) {
			return fmt.Errorf("--cpus: %v is not between 0.01 and 1000000", f.cpus)
		}
		period, quota := uint64(100000), int64(math.Round(f.cpus*100000))
		c.Period, c.Quota = &period, &quota
	}
	if f.cpuPeriod > 0 {
		c.Period = &f.cpuPeriod
	}
	if f.cpuQuota > 0 {
		c.Quota = &f.cpuQuota
	}
	if f.cpuShares > 0 {
		c.Shares = &f.cpuShares
	}
	if *c != (specs.LinuxCPU{}) {
		r.CPU = c
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
