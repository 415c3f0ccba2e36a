package parity

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/internal/probe"
)

// Mount is a mount of one side.
type Mount struct {
	Path                              string
	Type, Options, Super, Propagation string
	Depth                             int // how many mounts are around it
}

const mountGroup = "mounts"

// mounts compares the mounts of both sides, place by place.
func (c *comparison) mounts() {
	sides := [2]map[string]Mount{{}, {}}
	paths := map[string]bool{}
	for i, list := range c.res.Mounts {
		for _, m := range list {
			sides[i][m.Path], paths[m.Path] = m, true
		}
	}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		a, inOurs := sides[0][path]
		b, inTheirs := sides[1][path]
		c.res.Facts += 4
		if !inOurs || !inTheirs {
			c.mount(path, "", a.String(), b.String())
			continue
		}
		c.mount(path, "type", a.Type, b.Type)
		c.mount(path, "options", a.Options, b.Options)
		c.mount(path, "file system", a.Super, b.Super)
		c.mount(path, "propagation", a.Propagation, b.Propagation)
	}
}

// mount notes a difference of a mount: all of it where aspect is empty.
func (c *comparison) mount(path, aspect, ours, theirs string) {
	name := path
	if aspect != "" {
		name += " " + aspect
	}
	c.note(Difference{Group: mountGroup, Name: name, Ours: ours, Theirs: theirs, at: path, aspect: aspect})
}

// String is the mount in a few words.
func (m Mount) String() string {
	if m.Type == "" {
		return Absent
	}
	return strings.TrimSpace(m.Type + " " + m.Options)
}

// mountsOf reads the mounts back from the facts, sorted by path.
func mountsOf(f probe.Facts) []Mount {
	byPath := map[string]*Mount{}
	for name, value := range f[mountGroup] {
		path, aspect := name, ""
		for _, a := range []string{" type", " options", " file system", " propagation"} {
			if p, ok := strings.CutSuffix(name, a); ok {
				path, aspect = p, a
			}
		}
		m := byPath[path]
		if m == nil {
			m = &Mount{Path: path}
			byPath[path] = m
		}
		switch aspect {
		case " type":
			m.Type = value
		case " options":
			m.Options = value
		case " file system":
			m.Super = value
		case " propagation":
			m.Propagation = value
		}
	}
	var all []Mount
	var open []string
	for _, path := range slices.SortedFunc(maps.Keys(byPath), byTree) {
		for len(open) > 0 && !within(path, open[len(open)-1]) {
			open = open[:len(open)-1]
		}
		m := *byPath[path]
		m.Depth = len(open)
		all = append(all, m)
		open = append(open, path)
	}
	return all
}

// sideBySide pairs the mounts of both sides by their places.
func sideBySide(sides [2][]Mount) [][2]Mount {
	byPath := map[string][2]Mount{}
	for i, list := range sides {
		for _, m := range list {
			pair := byPath[m.Path]
			pair[i] = m
			byPath[m.Path] = pair
		}
	}
	var all [][2]Mount
	for _, path := range slices.SortedFunc(maps.Keys(byPath), byTree) {
		all = append(all, byPath[path])
	}
	return all
}

// byTree sorts a directory before what is in it.
func byTree(a, b string) int {
	switch {
	case a == b:
		return 0
	case probe.Less(a, b):
		return -1
	}
	return 1
}

// within says whether name is dir or lies in it.
func within(name, dir string) bool {
	return dir == "/" || name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatInt(n, 10) + " " + noun + "s"
}
