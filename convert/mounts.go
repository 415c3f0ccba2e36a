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
		l.put(m, "default")
	}
	if !c.o.Writable {
		// podman's, but with all of /var.
		for _, dst := range []string{"/tmp", "/run", "/var"} {
			l.put(c.scratch(dst), "default (read-only root)")
		}
	}
	c.etcFiles(l)
	c.volumes(l)
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

// volumes gives every Volume a directory of its own. One at a place where a
// default mount is has what it asks for already.
func (c *conversion) volumes(l *mountList) {
	const field = "config.Volumes"
	for _, v := range slices.Sorted(maps.Keys(c.img.Config.Volumes)) {
		dst, ok := c.destination(field, v)
		switch {
		case !ok:
			continue
		case dst == "/nix/store":
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
		l.put(c.scratch(dst), field)
	}
}

// flagMounts applies -v and --tmpfs.
func (c *conversion) flagMounts(l *mountList) {
	taken := map[string]string{}
	put := func(flag string, m specs.Mount) {
		if other, ok := taken[m.Destination]; ok {
			c.fault(flag, "%q is mounted already, by %s", m.Destination, other)
			return
		}
		taken[m.Destination] = flag
		l.put(m, flag)
	}
	for _, v := range c.o.Volumes {
		dst, ok := c.destination("-v", v.Destination)
		switch {
		case !ok || c.hasNUL("-v", v.Source):
		case v.Source == "":
			put("-v", c.scratch(dst))
		case !strings.HasPrefix(v.Source, "/"):
			c.fault("-v", "source %q is not absolute", v.Source)
		default:
			access := "rw"
			if v.ReadOnly {
				access = "ro"
			}
			put("-v", specs.Mount{Destination: dst, Type: "bind", Source: v.Source, Options: []string{"rbind", "rprivate", "nosuid", "nodev", access}})
		}
	}
	for _, t := range c.o.Tmpfs {
		dst, ok := c.destination("--tmpfs", t.Destination)
		if !ok {
			continue
		}
		options, err := tmpfsFlag(t.Options)
		if err != nil {
			c.fault("--tmpfs", "%q: %w", t.Destination, err)
			continue
		}
		put("--tmpfs", specs.Mount{Destination: dst, Type: "tmpfs", Source: "tmpfs", Options: options})
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
	case dst == "/", dst == "/proc", dst == "/sys", dst == "/dev":
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

// tmpfsWords are the options of --tmpfs without a value, each with the one
// that says the opposite, which the default gives way to.
var tmpfsWords = [...][2]string{
	{"nosuid", "suid"}, {"nodev", "dev"}, {"tmpcopyup", "notmpcopyup"}, {"exec", "noexec"}, {"rw", "ro"},
}

// tmpfsFlag checks the options of --tmpfs and adds podman's defaults.
func tmpfsFlag(given []string) ([]string, error) {
	options := []string{}
	add := func(o string) {
		if !slices.Contains(options, o) {
			options = append(options, o)
		}
	}
	for _, w := range tmpfsWords[:3] {
		if !slices.Contains(given, w[1]) {
			add(w[0])
		}
	}
	for _, o := range given {
		key, value, hasValue := strings.Cut(o, "=")
		known := slices.ContainsFunc(tmpfsWords[:], func(w [2]string) bool { return o == w[0] || o == w[1] })
		switch {
		case o == "notmpcopyup": // ours, and podman's; the runtime-spec has no such word
		case known:
			add(o)
		case hasValue && key == "size" && size(value):
			add(o)
		case hasValue && key == "mode" && len(value) <= 4 && value != "" && strings.Trim(value, "01234567") == "":
			add(o)
		default:
			return nil, fmt.Errorf("option %q is none of size=BYTES[kmg], mode=OCTAL, ro, rw, exec, noexec, suid, nosuid, dev, nodev, tmpcopyup, notmpcopyup", o)
		}
	}
	return options, nil
}

// size takes what tmpfs does, but for a share of the memory: "64m".
func size(s string) bool {
	if s != "" && strings.ContainsRune("kmgKMG", rune(s[len(s)-1])) {
		s = s[:len(s)-1]
	}
	return digits(s) && len(s) <= 15
}
