package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/oci2bwrap/oci2bwrap/convert"
)

// healthFlags are podman's for a healthcheck, and the one that runs it.
type healthFlags struct {
	healthcheck   bool
	cmd           string
	interval      time.Duration
	checkTimeout  time.Duration
	startPeriod   time.Duration
	startInterval time.Duration
	retries       int

	flags *pflag.FlagSet
}

func (f *healthFlags) AddFlags(fs *pflag.FlagSet) {
	f.flags = fs
	fs.BoolVar(&f.healthcheck, "healthcheck", false, "run until the image's healthcheck says how the command is: 0 is well, 1 is not")
	fs.StringVar(&f.cmd, "health-cmd", "", "healthcheck instead of the image's: a JSON array, or a `line` for the shell")
	fs.DurationVar(&f.interval, "health-interval", 0, "`time` between checks (default: the image's, else 30s)")
	fs.DurationVar(&f.checkTimeout, "health-timeout", 0, "`time` a check may take (default: the image's, else 30s)")
	fs.DurationVar(&f.startPeriod, "health-start-period", 0, "`time` in which failures do not count (default: the image's)")
	fs.DurationVar(&f.startInterval, "health-start-interval", 0, "`time` between checks in the start period (default: the image's, else 5s)")
	fs.IntVar(&f.retries, "health-retries", 0, "`number` of failures in a row that say no (default: the image's, else 3)")
}

// check refuses what would be without effect or means nothing.
func (f *healthFlags) check() error {
	var err error
	f.flags.Visit(func(flag *pflag.Flag) {
		if len(flag.Name) <= len("health-") || flag.Name[:len("health-")] != "health-" {
			return
		}
		if !f.healthcheck {
			err = &hinted{fmt.Errorf("--%s: nothing is checked without --healthcheck", flag.Name), "add --healthcheck"}
		}
	})
	for name, d := range map[string]time.Duration{"interval": f.interval, "timeout": f.checkTimeout, "start-period": f.startPeriod, "start-interval": f.startInterval} {
		if d < 0 {
			err = fmt.Errorf("--health-%s: %s is negative", name, d)
		}
	}
	if f.retries < 0 {
		err = fmt.Errorf("--health-retries: %d is negative", f.retries)
	}
	return err
}

// of gives the image's healthcheck with the flags applied; nil where none is
// wanted.
func (f *healthFlags) of(config []byte) (*convert.Healthcheck, error) {
	if !f.healthcheck {
		return nil, nil
	}
	h, err := convert.ParseHealthcheck(config)
	if err != nil {
		return nil, err
	}
	if f.cmd != "" {
		if h == nil {
			h = &convert.Healthcheck{}
		}
		var words []string
		if h.Args = convert.InShell(nil, f.cmd); json.Unmarshal([]byte(f.cmd), &words) == nil && len(words) > 0 {
			h.Args = words
		}
	}
	if h == nil {
		return nil, &hinted{errors.New("--healthcheck: the image has no Healthcheck, or one of NONE"), "give one with --health-cmd; only docker's image format has the field (buildah build --format docker)"}
	}
	h.Interval = cmp.Or(f.interval, h.Interval)
	h.Timeout = cmp.Or(f.checkTimeout, h.Timeout)
	h.StartPeriod = cmp.Or(f.startPeriod, h.StartPeriod)
	h.StartInterval = cmp.Or(f.startInterval, h.StartInterval)
	h.Retries = cmp.Or(f.retries, h.Retries)
	with := h.WithDefaults()
	return &with, nil
}
