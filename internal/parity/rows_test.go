package parity

import (
	"testing"

	"github.com/oci2bwrap/oci2bwrap/internal/probe"
)

// TestStoreRows: what an image of a Nix store is shown with is explained, and
// nothing that looks like it.
func TestStoreRows(t *testing.T) {
	const path = store + "/0c35rvh3nsgqhlngai5ld6nbcjpm29s6-hello"
	data := func(mode, owner string) probe.Entry {
		return probe.Entry{Path: "/data", Type: "d", Mode: mode, Owner: owner}
	}
	for name, test := range map[string]struct {
		plant func(ours, theirs *world)
		rows  map[string]int // nil for something unexplained
	}{
		"paths": {func(ours, _ *world) {
			ours.mount(store, "tmpfs", "nodev,nosuid,ro")
			ours.mount(path, "ext4", "nodev,nosuid,ro")
			ours.facts["writable"] = map[string]string{store: "EROFS", path: "EROFS"}
		}, map[string]int{"store paths": 4}},
		"a path that can be written to": {func(ours, _ *world) { ours.mount(path, "ext4", "nodev,nosuid,rw") }, nil},
		"written to it":                 {func(ours, _ *world) { ours.facts["writable"] = map[string]string{path: "ok"} }, nil},
		"a mount beside the store":      {func(ours, _ *world) { ours.mount("/nix/storehouse", "ext4", "nodev,nosuid,ro") }, nil},
		"a mount of theirs":             {func(_, theirs *world) { theirs.mount(path, "ext4", "nodev,nosuid,ro") }, nil},
		"a volume": {func(ours, theirs *world) {
			ours.mount(store, "tmpfs", "nodev,nosuid,ro")
			ours.mount("/data", "overlay", "nodev,nosuid,rw")
			theirs.mount("/data", "tmpfs", "nodev,nosuid,rw")
			ours.files, theirs.files = append(ours.files, data("0755", "1:1")), append(theirs.files, data("0555", "0:0"))
		}, map[string]int{"store paths": 1, "seeded directories": 1, "volumes from the store": 2}},
		"a volume of another mode": {func(ours, theirs *world) {
			ours.mount(store, "tmpfs", "nodev,nosuid,ro")
			ours.mount("/data", "overlay", "nodev,nosuid,rw")
			theirs.mount("/data", "tmpfs", "nodev,nosuid,rw")
			ours.files, theirs.files = append(ours.files, data("0755", "1:1")), append(theirs.files, data("0500", "1:1"))
		}, nil},
		"a file of root's": {func(ours, theirs *world) {
			ours.mount(store, "tmpfs", "nodev,nosuid,ro")
			ours.files[2].Owner = unmapped
		}, map[string]int{"store paths": 1, "owners of the store's files": 1}},
		"a file of another's": {func(ours, theirs *world) {
			ours.mount(store, "tmpfs", "nodev,nosuid,ro")
			ours.files[2].Owner, theirs.files[2].Owner = unmapped, "7:7"
		}, nil},
		"a file of root's, and no store": {func(ours, _ *world) { ours.files[2].Owner = unmapped }, nil},
		"a volume, and no store": {func(ours, theirs *world) {
			ours.mount("/data", "overlay", "nodev,nosuid,rw")
			theirs.mount("/data", "tmpfs", "nodev,nosuid,rw")
			ours.files, theirs.files = append(ours.files, data("0755", "1:1")), append(theirs.files, data("0555", "1:1"))
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := small(), small()
			for _, w := range []world{ours, theirs} {
				w.facts["ids"] = map[string]string{"uid real, effective, saved, file system": "1 1 1 1", "gid real, effective, saved, file system": "1 1 1 1"}
			}
			test.plant(&ours, &theirs)
			here := ours.report(t, "oci2bwrap", "this")
			here.Host.Root = false
			res, err := Compare(here, theirs.report(t, "crun", "this"), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(res.Differences) == 0 || res.Same() != (test.rows != nil) {
				t.Errorf("%+v", res.Differences)
			}
			for row, n := range test.rows {
				if res.Rows[row] != n {
					t.Errorf("%s explains %d, want %d: %+v", row, res.Rows[row], n, res.Differences)
				}
			}
		})
	}
}
