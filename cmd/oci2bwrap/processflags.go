package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/oci2bwrap/oci2bwrap/convert"
)

// processFlags say what the command is born with, and how it ends.
type processFlags struct {
	tty         bool
	init        bool
	ulimits     []string
	umask       string
	oomScoreAdj int
	stopSignal  string
	stopTimeout int
	timeLimit   uint

	flags *pflag.FlagSet
}

func (f *processFlags) AddFlags(fs *pflag.FlagSet) {
	f.flags = fs
	fs.BoolVarP(&f.tty, "tty", "t", false, "give the command a terminal of its own")
	fs.BoolVar(&f.init, "init", false, "be its parent as process 1: reap orphans, pass signals on")
	fs.StringArrayVar(&f.ulimits, "ulimit", nil, "resource limit: `NAME=SOFT[:HARD]`, -1 is none; host, the default, leaves the caller's")
	fs.StringVar(&f.umask, "umask", "0022", "file mode creation `mask`, octal")
	fs.IntVar(&f.oomScoreAdj, "oom-score-adj", 0, "from -1000 to 1000, how early the kernel kills it for memory (default: the caller's)")
	fs.StringVar(&f.stopSignal, "stop-signal", "", "`signal` that SIGTERM becomes (default: the image's, else SIGTERM)")
	fs.IntVar(&f.stopTimeout, "stop-timeout", 10, "`seconds` from the stop signal to SIGKILL; -1 waits for ever")
	fs.UintVar(&f.timeLimit, "timeout", 0, "kill the command after so many `seconds`; 0 is never")

	// podman's, so that a command line can be carried over.
	fs.BoolP("interactive", "i", false, "accepted: stdin is always the caller's")
}

// check refuses what flags alone show to be wrong.
func (f *processFlags) check() error {
	if f.stopTimeout < -1 {
		return fmt.Errorf("--stop-timeout: %d is neither a number of seconds nor -1", f.stopTimeout)
	}
	return nil
}

// options adds the wishes to those that convert takes.
func (f *processFlags) options(o *convert.Options) error {
	o.StopSignal = f.stopSignal
	if f.tty {
		o.Terminal, o.Term = true, os.Getenv("TERM")
	}
	for _, u := range f.ulimits {
		if u == "host" {
			continue
		}
		l, err := convert.ParseUlimit(u)
		if err != nil {
			return &hinted{fmt.Errorf("--ulimit: %w", err), "such as nofile=1024:4096"}
		}
		o.Rlimits = append(o.Rlimits, l)
	}
	if f.flags.Changed("umask") {
		mask, err := strconv.ParseUint(f.umask, 8, 32)
		if err != nil || mask > 0o777 {
			return fmt.Errorf("--umask: %q is no octal number up to 0777", f.umask)
		}
		umask := uint32(mask)
		o.Umask = &umask
	}
	if f.flags.Changed("oom-score-adj") {
		if f.oomScoreAdj < -1000 || f.oomScoreAdj > 1000 {
			return fmt.Errorf("--oom-score-adj: %d is not between -1000 and 1000", f.oomScoreAdj)
		}
		o.OOMScoreAdj = &f.oomScoreAdj
	}
	return nil
}

// timeout is --stop-timeout as the runner takes it: 0 s is at once.
func (f *processFlags) timeout() time.Duration {
	switch {
	case f.stopTimeout < 0 || f.stopTimeout > math.MaxInt32:
		return math.MaxInt64
	case f.stopTimeout == 0:
		return time.Nanosecond
	}
	return time.Duration(f.stopTimeout) * time.Second
}
