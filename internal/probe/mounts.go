package probe

import (
	"os"
	"slices"
	"strconv"
	"strings"
)

// mount is a line of mountinfo (proc(5)).
type mount struct {
	dst, fstype  string
	options      []string // of the mount
	super        []string // of the file system
	propagation  string
	root, source string
}

func (m mount) is(types ...string) bool { return slices.Contains(types, m.fstype) }

func readMounts() []mount {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	return parseMounts(string(data))
}

func parseMounts(text string) []mount {
	var all []mount
	for line := range strings.Lines(text) {
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ")
		fields, rest := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 6 || len(rest) < 2 {
			continue
		}
		m := mount{
			dst: unescape(fields[4]), root: unescape(fields[3]), fstype: rest[0], source: unescape(rest[1]),
			options: strings.Split(fields[5], ","), propagation: "private",
		}
		if len(rest) > 2 {
			m.super = strings.Split(rest[2], ",")
		}
		for _, tag := range fields[6:] {
			m.propagation, _, _ = strings.Cut(tag, ":")
		}
		all = append(all, m)
	}
	return all
}

// unescape undoes the kernel's \ooo.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// matter are the options of file systems that a process can notice.
var matter = []string{"ro", "rw", "size", "mode", "uid", "gid", "ptmxmode", "hidepid", "subset", "nr_inodes", "noswap"}

// mounts tells what is mounted where. Several mounts on one place are numbered
// from the lowest.
func (f Facts) mounts(mounts []mount) {
	const group = "mounts"
	seen := map[string]int{}
	for _, m := range mounts {
		name := Escape(m.dst)
		if seen[m.dst]++; seen[m.dst] > 1 {
			name += " #" + strconv.Itoa(seen[m.dst])
		}
		slices.Sort(m.options)
		var super []string
		for _, o := range m.super {
			if key, _, _ := strings.Cut(o, "="); slices.Contains(matter, key) {
				super = append(super, o)
			}
		}
		slices.Sort(super)
		f.set(group, name+" type", m.fstype)
		f.set(group, name+" options", strings.Join(m.options, ","))
		f.set(group, name+" file system", strings.Join(super, ","))
		f.set(group, name+" propagation", m.propagation)
	}
}
