package layout

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// owners tells as which ids this process sees the owners of a root that was
// unpacked in another user namespace.
type owners struct {
	uids, gids idTranslation
}

// firstMaps are those of the first user namespace.
const firstMaps = mappedPrefix + "0:0:4294967295 0:0:4294967295"

// ownMaps are the maps of this process, "" in the first user namespace.
func ownMaps() Ownership {
	uids, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return ""
	}
	gids, err := os.ReadFile("/proc/self/gid_map")
	if o := Mapped(uids, gids); err == nil && o != firstMaps {
		return o
	}
	return ""
}

// newOwners reads the maps in meta.json.
func newOwners(ids string) (owners, error) {
	ids = cmp.Or(ids, firstMaps)
	made, ok := strings.CutPrefix(ids, mappedPrefix)
	uids, gids, ok2 := strings.Cut(made, " ")
	if !ok || !ok2 {
		return owners{}, fmt.Errorf("%s: ids: %q are no maps", metaName, ids)
	}
	var o owners
	var err error
	if o.uids, err = newIDTranslation(uids, "/proc/self/uid_map"); err == nil {
		o.gids, err = newIDTranslation(gids, "/proc/self/gid_map")
	}
	return o, err
}

func (o owners) here(uid, gid int) (int, int) { return o.uids.here(uid), o.gids.here(gid) }

// idTranslation leads from the ids of a namespace to those of this process,
// by the ids that both have outside. A process that is not in a namespace, or
// in one of the same depth, has the same outside.
type idTranslation struct {
	there, self []extent
}

// extent is a line of a map: ids inside, outside, and how many.
type extent struct{ inside, outside, size int }

func newIDTranslation(there, self string) (t idTranslation, err error) {
	if t.there, err = readExtents(strings.ReplaceAll(there, ",", "\n"), ":"); err != nil {
		return t, err
	}
	data, err := os.ReadFile(self)
	if err != nil {
		return t, err
	}
	t.self, err = readExtents(string(data), " ")
	return t, err
}

func readExtents(text, separator string) ([]extent, error) {
	var list []extent
	for line := range strings.Lines(text) {
		var n []int
		for _, f := range strings.Split(strings.Join(strings.Fields(line), separator), separator) {
			i, err := strconv.Atoi(f)
			if err != nil {
				return nil, fmt.Errorf("id map: %w", err)
			}
			n = append(n, i)
		}
		if len(n) != 3 {
			return nil, fmt.Errorf("id map: %q is not three numbers", line)
		}
		list = append(list, extent{n[0], n[1], n[2]})
	}
	return list, nil
}

// here gives the id as this process sees it; 65534 is what it sees of ids
// that it has none for.
func (t idTranslation) here(id int) int {
	const overflow = 65534
	if slices.Equal(t.there, t.self) {
		return id
	}
	for _, e := range t.there {
		if id < e.inside || id-e.inside >= e.size {
			continue
		}
		outside := e.outside + id - e.inside
		for _, e := range t.self {
			if outside >= e.outside && outside-e.outside < e.size {
				return e.inside + outside - e.outside
			}
		}
		return overflow
	}
	return overflow
}

// sameCaps compares file capabilities (struct vfs_cap_data) by what they give:
// the kernel adds for whose namespace, and says so to those outside of it.
func sameCaps(a, b []byte) bool {
	const sets, end = 4, 20
	return len(a) >= end && len(b) >= end && bytes.Equal(a[sets:end], b[sets:end]) && a[0]&1 == b[0]&1
}
