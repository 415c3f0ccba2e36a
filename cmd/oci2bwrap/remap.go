package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/runner"
)

// remap is the map of a bundle that leaves the caller out, as Docker's
// userns-remap does: bubblewrap makes no user namespace that lacks the id of who
// starts it, so that this program enters one and starts it as root of that.
// Where the caller need not or may not, it is the map to enter otherwise.
func (f *usernsFlags) remap(wanted, otherwise *runner.IDMap) (*runner.IDMap, error) {
	if wanted == nil || f.userns != "" || f.script || runner.MapsOutside(wanted.UIDs, os.Geteuid()) && runner.MapsOutside(wanted.GIDs, os.Getegid()) {
		return otherwise, nil
	}
	may := otherwise // for a user the subordinate ids
	if os.Geteuid() == 0 && capable(unix.CAP_SETUID, unix.CAP_SETGID) {
		var err error
		if may, err = ownMap(); err != nil {
			return nil, err
		}
	}
	if may == nil || !within(wanted.UIDs, may.UIDs) || !within(wanted.GIDs, may.GIDs) || !mapsRoot(wanted.UIDs) || !mapsRoot(wanted.GIDs) {
		return otherwise, nil // the plan says what is wrong with them
	}
	return wanted, nil
}

func mapsRoot(m []syscall.SysProcIDMap) bool {
	return slices.ContainsFunc(m, func(e syscall.SysProcIDMap) bool { return e.ContainerID == 0 && e.Size > 0 })
}

// within says that all ids outside of a map are among those of another.
func within(m, all []syscall.SysProcIDMap) bool {
	for _, e := range m {
		for e.Size > 0 {
			i := slices.IndexFunc(all, func(a syscall.SysProcIDMap) bool { return e.HostID >= a.HostID && e.HostID-a.HostID < a.Size })
			if i < 0 {
				return false
			}
			size := min(e.Size, all[i].HostID+all[i].Size-e.HostID)
			e.HostID, e.Size = e.HostID+size, e.Size-size
		}
	}
	return len(m) > 0
}

// temporaryCache makes, in the first of the directories that allows it, what
// takes the place of a cache that is nowhere, or that this process can't write
// to though it is root of its namespace.
func (s *session) temporaryCache(dirs ...string) (err error) {
	for _, dir := range dirs {
		if s.temporary, err = newLockedDir(dir, cachePrefix); err == nil {
			s.cache = s.temporary.path
			return nil
		}
	}
	return err
}

// leftOut says that the caller's id is not one of this process's namespace.
func (s *session) leftOut() bool { return s.inside != nil && s.inside.LeftOut }

// reached explains that a file can't be had though the caller could have it.
func (s *session) reached(err error) error {
	if !errors.Is(err, fs.ErrPermission) || !s.leftOut() {
		return err
	}
	return &hinted{
		fmt.Errorf("%w: the bundle's user namespace lacks the caller's id", err),
		"let " + s.outsideIDs() + " read what the bundle needs, and search the directories above it",
	}
}

// outsideIDs are this process's ids, those of a root outside of the namespace
// that it was started in for the sandbox, for people.
func (s *session) outsideIDs() string {
	ids := [2]int{os.Geteuid(), os.Getegid()}
	if s.inside == nil {
		return fmt.Sprintf("%d:%d", ids[0], ids[1])
	}
	for n, file := range [][]byte{s.standing.uidMap, s.standing.gidMap} {
		m, _ := runner.ParseIDMap(file) // the kernel's own
		for _, e := range m {
			if e.ContainerID == 0 {
				ids[n] = e.HostID
			}
		}
	}
	return fmt.Sprintf("%d:%d", ids[0], ids[1])
}
