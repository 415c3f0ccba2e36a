package runner

import (
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestSubordinateIDs(t *testing.T) {
	for _, test := range []struct {
		name, file string
		want       []IDRange
	}{
		{"by name", "other:1:2\nme:100000:65536\n", []IDRange{{100000, 65536}}},
		{"by number", "7:100000:65536", []IDRange{{100000, 65536}}},
		{"several lines add up, in their order", "me:500000:10\n7:100000:65536\nme:90000:1\n", []IDRange{{500000, 10}, {100000, 65536}, {90000, 1}}},
		{"no id comes twice", "me:100:10\nme:95:20\nme:100:10\n", []IDRange{{100, 10}, {95, 5}, {110, 5}}},
		{"nor is the caller's among them", "me:1:10\n", []IDRange{{1, 6}, {8, 3}}},
		{"what can't be read", "me:1\nme:x:1\nme:-1:5\nme:1:x\nme:5:0\n# me:1:1\nme:1:1:1\n\nme:4294967290:10\nme:20:1\n", []IDRange{{20, 1}}},
		{"the highest id", "me:4294967290:5\n", []IDRange{{4294967290, 5}}},
		{"nobody's", "you:100000:65536\n:1:1\n", nil},
	} {
		if got := SubordinateIDs([]byte(test.file), 7, "me", "7"); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func FuzzSubordinateIDs(f *testing.F) {
	f.Add([]byte("me:100000:65536\nme:5:10\n"), 7)
	f.Fuzz(func(t *testing.T, data []byte, own int) {
		if own < 0 || own > lastID {
			return
		}
		ranges := SubordinateIDs(data, own, "me")
		for i, r := range ranges {
			if r.Count <= 0 || r.First < 0 || r.First+r.Count-1 > lastID {
				t.Fatalf("%v", r)
			}
			for _, o := range append(slices.Clone(ranges[:i]), IDRange{own, 1}) {
				if r.First < o.First+o.Count && o.First < r.First+r.Count {
					t.Fatalf("%v and %v overlap", r, o)
				}
			}
		}
	})
}

func TestIDMaps(t *testing.T) {
	subs := []IDRange{{100000, 5}, {200000, 20}}
	for _, test := range []struct {
		name string
		got  []syscall.SysProcIDMap
		want string
	}{
		{"range", RangeMap(1000, subs), "0 1000 1\n1 100000 5\n6 200000 20\n"},
		{"keep-id", KeepIDMap(7, subs), "0 100000 5\n5 200000 2\n7 7 1\n8 200002 18\n"},
		{"keep-id between ranges", KeepIDMap(5, subs), "0 100000 5\n5 5 1\n6 200000 20\n"},
		{"keep-id beyond them", KeepIDMap(1000, subs), "0 100000 5\n5 200000 20\n1000 1000 1\n"},
		{"no ranges", RangeMap(1000, nil), "0 1000 1\n"},
	} {
		if got := string(formatIDMap(test.got)); got != test.want {
			t.Errorf("%s:\n%swant:\n%s", test.name, got, test.want)
		}
		back, err := ParseIDMap([]byte(strings.ReplaceAll(test.want, " ", "      ")))
		if err != nil || !slices.Equal(back, test.got) {
			t.Errorf("%s: read as %v, %v", test.name, back, err)
		}
	}
	var many []IDRange
	for i := range 1000 {
		many = append(many, IDRange{1000000 + 2*i, 1})
	}
	if n := len(KeepIDMap(500, many)); n > maxExtents {
		t.Errorf("%d lines, the kernel takes %d", n, maxExtents)
	}
	if _, err := ParseIDMap([]byte("0 1\n")); err == nil {
		t.Error("half a line was read")
	}
}
