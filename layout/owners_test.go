package layout

import "testing"

func TestOwners(t *testing.T) {
	first := []extent{{0, 0, 4294967295}}
	ranges := []extent{{0, 1001, 1}, {1, 100000, 65536}}
	keep := []extent{{0, 100000, 1001}, {1001, 1001, 1}, {1002, 101001, 64535}}
	for _, test := range []struct {
		name        string
		there, self []extent
		id, want    int
	}{
		{"the same maps", ranges, ranges, 33, 33},
		{"root of a range, from outside", ranges, first, 0, 1001},
		{"another of a range, from outside", ranges, first, 33, 100032},
		{"root of keep-id, from a range", keep, ranges, 0, 1},
		{"the caller's of keep-id, from a range", keep, ranges, 1001, 0},
		{"above the caller's", keep, ranges, 2000, 2000},
		{"outside's, from a range", first, ranges, 1001, 0},
		{"outside's that the range has not", first, ranges, 5, 65534},
		{"what was not mapped", ranges, first, 70000, 65534},
	} {
		if got := (idTranslation{test.there, test.self}).here(test.id); got != test.want {
			t.Errorf("%s: %d is %d, want %d", test.name, test.id, got, test.want)
		}
	}
	if _, err := newOwners("map 0:1:2"); err == nil {
		t.Error("one map was taken for two")
	}
	if _, err := newOwners("map 0:1 0:1:1"); err == nil {
		t.Error("half a map was read")
	}
}

func TestMappedOwnership(t *testing.T) {
	a := Mapped([]byte("         0       1001          1\n         1     100000      65536\n"), []byte("0 1001 1\n1 100000 65536\n"))
	if want := Ownership("map 0:1001:1,1:100000:65536 0:1001:1,1:100000:65536"); a != want {
		t.Errorf("%q, want %q", a, want)
	}
	b := Mapped([]byte("0 100000 65536\n"), []byte("0 100000 65536\n"))
	if a.name() == b.name() || len(a.name()) != len("map")+12 {
		t.Errorf("%q, %q", a.name(), b.name())
	}
	if !a.owners() || Caller.owners() || !Real.owners() || Real.mapped() {
		t.Error("the modes are mixed up")
	}
}
