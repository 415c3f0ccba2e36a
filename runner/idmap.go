package runner

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// IDMap is what the ids of a user namespace are outside of it.
type IDMap struct {
	UIDs, GIDs []syscall.SysProcIDMap
}

// maxExtents is the kernel's limit on the lines of a map.
const maxExtents = 340

// RangeMap maps 0 to id, and what follows to the subordinate ranges in their
// order.
func RangeMap(id int, subs []IDRange) []syscall.SysProcIDMap {
	return mapAround(0, id, subs)
}

// KeepIDMap maps id to itself, and the subordinate ranges in their order to
// the ids around it, from 0 on. With fewer of them than id there is a hole
// below it.
func KeepIDMap(id int, subs []IDRange) []syscall.SysProcIDMap {
	return mapAround(id, id, subs)
}

// mapAround maps at to id and fills what is below and above.
func mapAround(at, id int, subs []IDRange) []syscall.SysProcIDMap {
	own := syscall.SysProcIDMap{ContainerID: at, HostID: id, Size: 1}
	var m []syscall.SysProcIDMap
	next := 0
	for _, r := range subs {
		for r.Count > 0 && len(m) < maxExtents-2 {
			if next == at {
				next++
			}
			size := r.Count
			if next < at {
				size = min(size, at-next)
			}
			m = append(m, syscall.SysProcIDMap{ContainerID: next, HostID: r.First, Size: size})
			next, r.First, r.Count = next+size, r.First+size, r.Count-size
		}
	}
	i := slices.IndexFunc(m, func(e syscall.SysProcIDMap) bool { return e.ContainerID > at })
	if i < 0 {
		i = len(m)
	}
	return slices.Insert(m, i, own)
}

// MapsOutside says that the id outside is among those that are mapped.
func MapsOutside(m []syscall.SysProcIDMap, id int) bool {
	return slices.ContainsFunc(m, func(e syscall.SysProcIDMap) bool { return id >= e.HostID && id-e.HostID < e.Size })
}

// ParseIDMap reads a map as the kernel prints it in /proc/PID/uid_map.
func ParseIDMap(data []byte) ([]syscall.SysProcIDMap, error) {
	var m []syscall.SysProcIDMap
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return nil, fmt.Errorf("id map: %q is not three numbers", line)
		}
		var n [3]int
		for i, f := range fields {
			var err error
			if n[i], err = strconv.Atoi(f); err != nil {
				return nil, fmt.Errorf("id map: %w", err)
			}
		}
		m = append(m, syscall.SysProcIDMap{ContainerID: n[0], HostID: n[1], Size: n[2]})
	}
	return m, nil
}

// formatIDMap writes a map as the kernel reads it.
func formatIDMap(m []syscall.SysProcIDMap) []byte {
	var b []byte
	for _, e := range m {
		b = fmt.Appendf(b, "%d %d %d\n", e.ContainerID, e.HostID, e.Size)
	}
	return b
}
