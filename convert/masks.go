package convert

import (
	"path"
	"slices"
)

// maskedPaths are podman's, whether this host has them or not.
func maskedPaths() []string {
	return []string{
		"/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
		"/proc/timer_list", "/proc/timer_stats",
		"/sys/dev/block", "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/selinux",
	}
}

func readonlyPaths() []string {
	return []string{"/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
}

// masks sets the masked and read-only paths. As in podman, --security-opt
// unmask lifts both kinds, by path, by pattern or all.
func (c *conversion) masks() {
	l := c.res.Spec.Linux
	l.MaskedPaths, l.ReadonlyPaths = maskedPaths(), readonlyPaths()
	for _, pattern := range c.o.Unmask {
		lifted := func(name string) bool {
			matches, err := path.Match(pattern, name)
			return pattern == "ALL" || err == nil && matches
		}
		if _, err := path.Match(pattern, ""); err != nil || pattern != "ALL" && !path.IsAbs(pattern) {
			c.fault("--security-opt", "unmask=%s: neither ALL nor an absolute path or pattern", pattern)
		}
		l.MaskedPaths = slices.DeleteFunc(l.MaskedPaths, lifted)
		l.ReadonlyPaths = slices.DeleteFunc(l.ReadonlyPaths, lifted)
	}
	for _, name := range c.o.Mask {
		if !path.IsAbs(name) || path.Clean(name) == "/" {
			c.fault("--security-opt", "mask=%s: not an absolute path below /", name)
			continue
		}
		if name = path.Clean(name); !slices.Contains(l.MaskedPaths, name) {
			l.MaskedPaths = append(l.MaskedPaths, name)
		}
	}
}
