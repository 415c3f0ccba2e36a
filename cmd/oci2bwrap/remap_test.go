package main

import (
	"os"
	"syscall"
	"testing"

	"github.com/oci2bwrap/oci2bwrap/runner"
)

// A bundle's map is entered where it leaves the caller out, is of ids that the
// caller has, and maps a root.
func TestRemap(t *testing.T) {
	extents := func(n ...int) (m []syscall.SysProcIDMap) {
		for ; len(n) > 0; n = n[3:] {
			m = append(m, syscall.SysProcIDMap{ContainerID: n[0], HostID: n[1], Size: n[2]})
		}
		return m
	}
	all := extents(0, 1000, 1, 1, 5000, 10, 11, 5010, 10)
	for _, test := range []struct {
		name         string
		m            []syscall.SysProcIDMap
		holds, of, r bool
	}{
		{"remapped", extents(0, 5000, 20), false, true, true},
		{"with the caller", extents(0, 1000, 1, 1, 5000, 1), true, true, true},
		{"too many", extents(0, 5000, 21), false, false, true},
		{"another's", extents(0, 999, 1), false, false, true},
		{"no root", extents(1, 5000, 5), false, true, false},
		{"none", nil, false, false, false},
	} {
		if h, w, r := runner.MapsOutside(test.m, 1000), within(test.m, all), mapsRoot(test.m); h != test.holds || w != test.of || r != test.r {
			t.Errorf("%s: holds the caller %v, within %v, root %v", test.name, h, w, r)
		}
	}

	otherwise := &runner.IDMap{}
	own := &runner.IDMap{UIDs: extents(0, os.Geteuid(), 1), GIDs: extents(0, os.Getegid(), 1)}
	other := &runner.IDMap{UIDs: extents(0, 5000, 1), GIDs: extents(0, 5000, 1)}
	for name, test := range map[string]struct {
		flags  usernsFlags
		wanted *runner.IDMap
	}{
		"no map":     {usernsFlags{}, nil},
		"the own id": {usernsFlags{}, own},
		"a flag":     {usernsFlags{userns: "single"}, other},
		"a script":   {usernsFlags{script: true}, other},
	} {
		if m, err := test.flags.remap(test.wanted, otherwise); err != nil || m != otherwise {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
}
