package convert

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// mountList holds one mount a destination, each with its origin.
type mountList struct {
	mounts map[string]specs.Mount
	origin map[string]string
}

func (l *mountList) put(m specs.Mount, origin string) {
	l.mounts[m.Destination] = m
	l.origin[m.Destination] = origin
}

// mounts sets the Spec's mounts: the defaults, the image's Volumes, and over
// both, by destination, those of the flags. A parent comes before what is
// below it. Destinations are clean and keep the links of the image.
func (c *conversion) mounts() {
	l := &mountList{mounts: map[string]specs.Mount{}, origin: map[string]string{}}
	for _, m := range kernelMounts(c.ordinary() && c.o.Network == NetworkHost, !c.single() && c.host.hasGID(5)) {
		if i := slices.Index(m.Options, "size=65536k"); m.Destination == "/dev/shm" && c.o.ShmSize != 0 {
			m.Options[i] = fmt.Sprintf("size=%d", max(c.o.ShmSize, 0))
		}
		l.put(m, "default")
	}
	if !c.o.Writable && !c.o.NoScratch {
		// podman's, but with all of /var.
		for _, dst := range []string{"/tmp", "/run", "/var"} {
			l.put(c.scratch(dst), "default (read-only root)")
		}
	}
	c.etcFiles(l)
	c.accountMounts(l)
	c.volumes(l)
	c.devices(l)
	c.flagMounts(l)

	// The content of a file that a flag has replaced is nobody's.
	for source := range c.res.Files {
		if !slices.ContainsFunc(slices.Collect(maps.Values(l.mounts)), func(m specs.Mount) bool { return m.Source == source }) {
			delete(c.res.Files, source)
		}
	}
	c.res.Spec.Mounts = slices.SortedFunc(maps.Values(l.mounts), func(a, b specs.Mount) int {
		return cmp.Or(
			cmp.Compare(strings.Count(a.Destination, "/"), strings.Count(b.Destination, "/")),
			cmp.Compare(a.Destination, b.Destination))
	})
	maps.Copy(c.res.Origin, l.origin)
}

// Bounds for an image's Volumes: each name in their paths is looked up in all
// that is mounted.
const (
	maxVolumes     = 1000
	maxVolumeNames = 10_000
)

// volumes gives every Volume a directory of its own. One at a place where a
// default mount is has what it asks for already.
func (c *conversion) volumes(l *mountList) {
	const field = "config.Volumes"
	if c.o.ImageVolumes == IgnoreVolumes {
		return
	}
	names := 0
	for v := range c.img.Config.Volumes {
		names += 1 + strings.Count(v, "/")
	}
	if len(c.img.Config.Volumes) > maxVolumes || names > maxVolumeNames {
		c.faults = append(c.faults, &hinted{
			fmt.Errorf("%s: has %d volumes, with %d names in their paths, and may have %d and %d", field, len(c.img.Config.Volumes), names, maxVolumes, maxVolumeNames),
			"--volumes ignore runs the image without them",
		})
		return
	}
	for _, v := range slices.Sorted(maps.Keys(c.img.Config.Volumes)) {
		dst, ok := c.destination(field, v)
		switch {
		case !ok:
			continue
		case dst == "/nix", dst == "/nix/store":
			c.fault(field, "%q would hide the programs in it", v)
			continue
		case !strings.HasPrefix(v, "/"):
			c.note(field, "%q is not absolute and is taken as %q", v, dst)
		}
		if m, ok := l.mounts[dst]; ok {
			if m.Type == "bind" {
				c.note(field, "%q is a file that every sandbox has, and no volume", dst)
				continue
			}
			l.origin[dst] = field
			continue
		}
		m := c.scratch(dst)
		if c.o.ImageVolumes == EmptyVolumes {
			m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return o == "tmpcopyup" })
		}
		l.put(m, field)
	}
}

// destination cleans a mount's destination and reports whether it may be one.
func (c *conversion) destination(field, raw string) (string, bool) {
	if c.hasNUL(field, raw) {
		return "", false
	}
	if climbs(raw) {
		c.fault(field, "%q climbs out of the root", raw)
		return "", false
	}
	dst := path.Clean("/" + raw)
	switch {
	case dst == "/":
		c.fault(field, "%w", &hinted{fmt.Errorf("%q can't be a mount point: / is the sandbox's own", raw), "rootfs:DIR with --config FILE is an image whose root is a directory"})
		return "", false
	case dst == "/proc", dst == "/sys", dst == "/dev":
		c.fault(field, "%q can't be a mount point: %s is the sandbox's own", raw, dst)
		return "", false
	case strings.HasPrefix(dst, "/proc/"), strings.HasPrefix(dst, "/sys/"):
		c.fault(field, "%q can't be a mount point below /proc or /sys", raw)
		return "", false
	}
	return dst, true
}

// climbs reports whether a ".." of p leads above the root.
func climbs(p string) bool {
	depth := 0
	for elem := range strings.SplitSeq(p, "/") {
		switch elem {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}
