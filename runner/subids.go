package runner

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// IDRange is Count ids from First on.
type IDRange struct {
	First, Count int
}

// lastID is the highest id there is: 2^32-1 means none.
const lastID = 1<<32 - 2

// SubordinateIDs reads what /etc/subuid or /etc/subgid (subuid(5)) gives to
// the caller: the lines that begin with one of names, which are the login name
// and the user id. Lines that can't be read are passed over, as newuidmap
// does. No id comes twice, and none is own, which is the caller's without
// being subordinate.
func SubordinateIDs(data []byte, own int, names ...string) []IDRange {
	var ranges []IDRange
	for line := range strings.Lines(string(data)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) != 3 || fields[0] == "" || !slices.Contains(names, fields[0]) {
			continue
		}
		first, err := strconv.ParseUint(fields[1], 10, 32)
		if err != nil {
			continue
		}
		count, err := strconv.ParseUint(fields[2], 10, 32)
		if err != nil || count == 0 || first+count-1 > lastID {
			continue
		}
		r := IDRange{First: int(first), Count: int(count)}
		ranges = append(ranges, r.without(append(slices.Clone(ranges), IDRange{own, 1}))...)
	}
	return ranges
}

// without gives what of the range is in none of the others.
func (r IDRange) without(others []IDRange) []IDRange {
	others = slices.SortedFunc(slices.Values(others), func(a, b IDRange) int { return cmp.Compare(a.First, b.First) })
	var left []IDRange
	for _, o := range others {
		end := o.First + o.Count
		if end <= r.First || o.First >= r.First+r.Count {
			continue
		}
		if o.First > r.First {
			left = append(left, IDRange{r.First, o.First - r.First})
		}
		r.Count -= end - r.First
		r.First = end
		if r.Count <= 0 {
			return left
		}
	}
	return append(left, r)
}
