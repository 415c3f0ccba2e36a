package convert

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Healthcheck is how docker's image format lets a container be asked whether
// it is well. The image-spec has no such field.
type Healthcheck struct {
	Args          []string      // the command; its status 0 is well
	Interval      time.Duration // from the end of a check to the next
	Timeout       time.Duration // after which a check has failed
	StartPeriod   time.Duration // in which a failure does not count
	StartInterval time.Duration // Interval during StartPeriod
	Retries       int           // failures in a row that make it unwell
}

// WithDefaults fills what is not set with docker's defaults.
func (h Healthcheck) WithDefaults() Healthcheck {
	for _, d := range []struct {
		value *time.Duration
		or    time.Duration
	}{{&h.Interval, 30 * time.Second}, {&h.Timeout, 30 * time.Second}, {&h.StartInterval, 5 * time.Second}} {
		if *d.value == 0 {
			*d.value = d.or
		}
	}
	if h.Retries == 0 {
		h.Retries = 3
	}
	return h
}

// ParseHealthcheck reads the healthcheck of an image config as it is stored.
// nil is none; what is not set in it is 0.
func ParseHealthcheck(config []byte) (*Healthcheck, error) {
	var doc struct {
		Config struct {
			Shell       []string
			Healthcheck *struct {
				Test                                          []string
				Interval, Timeout, StartPeriod, StartInterval time.Duration
				Retries                                       int
			}
		} `json:"config"`
	}
	if len(config) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(config, &doc); err != nil {
		return nil, fmt.Errorf("config.Healthcheck: %w", err)
	}
	c := doc.Config.Healthcheck
	if c == nil || len(c.Test) == 0 || c.Test[0] == "NONE" || c.Test[0] == "" {
		return nil, nil
	}
	h := &Healthcheck{Interval: c.Interval, Timeout: c.Timeout, StartPeriod: c.StartPeriod, StartInterval: c.StartInterval, Retries: c.Retries}
	switch kind, rest := c.Test[0], c.Test[1:]; {
	case kind == "CMD" && len(rest) > 0:
		h.Args = rest
	case kind == "CMD-SHELL" && len(rest) > 0:
		// buildah writes a line word by word, and podman joins it.
		h.Args = InShell(doc.Config.Shell, strings.Join(rest, " "))
	default:
		return nil, fmt.Errorf("config.Healthcheck.Test: %q is neither NONE, CMD with a command, nor CMD-SHELL with a line", c.Test)
	}
	return h, h.check("config.Healthcheck")
}

// InShell gives the command that has the shell run a line; none is /bin/sh.
func InShell(shell []string, line string) []string {
	if len(shell) == 0 {
		shell = []string{"/bin/sh", "-c"}
	}
	return append(append([]string{}, shell...), line)
}

func (h *Healthcheck) check(field string) error {
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"Interval", h.Interval}, {"Timeout", h.Timeout}, {"StartPeriod", h.StartPeriod}, {"StartInterval", h.StartInterval}} {
		if d.value < 0 || d.value > 0 && d.value < time.Millisecond {
			return fmt.Errorf("%s.%s: %d ns is neither 0 nor at least a millisecond", field, d.name, d.value)
		}
	}
	if h.Retries < 0 {
		return errors.New(field + ".Retries: negative")
	}
	return nil
}
