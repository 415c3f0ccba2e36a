package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/layout"
	"github.com/oci2bwrap/oci2bwrap/runner"
)

// standing is what this process is to the ids of its sandboxes: real root,
// root of a user namespace that maps several ids, or somebody whose sandboxes
// have a namespace of their own with a single id.
type standing struct {
	root     bool           // either kind of root: the sandbox's ids are this process's
	confined bool           // in a user namespace other than the first, or to act as if
	entered  *runner.Inside // that namespace was made for the sandbox

	uidMap, gidMap []byte // of the namespace, where root is confined
}

// here tells the standing of this process. With single it is made to use a
// namespace of a single id, whatever else it could.
func here(entered *runner.Inside, single bool) (standing, error) {
	s := standing{confined: entered != nil && (entered.Made() || entered.Joined("user")) || confined()} // the map can be that of the first namespace
	if entered != nil && entered.Made() {
		s.entered = entered
	}
	switch {
	case single:
		s.confined = true
		return s, nil
	case os.Geteuid() != 0:
		return s, nil
	case !s.confined:
		s.root = privileged()
		s.confined = !s.root // root of a container needs a namespace as anybody does
		return s, nil
	}
	var err error
	if s.uidMap, err = os.ReadFile("/proc/self/uid_map"); err != nil {
		return s, err
	}
	if s.gidMap, err = os.ReadFile("/proc/self/gid_map"); err != nil {
		return s, err
	}
	s.root = (several(s.uidMap) && several(s.gidMap) || entered != nil && entered.Joined("user")) && privileged()
	return s, nil
}

// isRoot says whether the caller is real root, whose files keep the image's
// owners.
func isRoot() bool { return os.Geteuid() == 0 && !confined() }

// confined says that this process is in a user namespace other than the
// first one, where root's rights end at what is mapped.
func confined() bool {
	data, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && !slices.Equal(strings.Fields(string(data)), []string{"0", "0", "4294967295"})
}

// several says that a map holds more ids than one.
func several(idMap []byte) bool {
	m, err := runner.ParseIDMap(idMap)
	return err == nil && (len(m) > 1 || len(m) == 1 && m[0].Size > 1)
}

// privileged says that this process has what it takes to do without a user
// namespace of the sandbox's own.
func privileged() bool {
	return capable(unix.CAP_SYS_ADMIN, unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_SETPCAP, unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER)
}

// capable says that this process has all of the capabilities in effect.
func capable(caps ...uint) bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&hdr, &data[0]) != nil {
		return false
	}
	for _, c := range caps {
		if data[c/32].Effective&(1<<(c%32)) == 0 {
			return false
		}
	}
	return true
}

// caller is user and group of who started oci2bwrap, in the words of --user,
// or "" for root.
func (s standing) caller() string {
	if s.entered == nil || s.entered.UID == 0 {
		return ""
	}
	return fmt.Sprintf("%d:%d", s.entered.UID, s.entered.GID)
}

// account is that of who started oci2bwrap; nil for root, and for one that
// /etc/passwd does not know.
func (s standing) account() *convert.Account {
	if s.entered == nil || s.entered.UID == 0 {
		return nil
	}
	a := convert.Account{UID: s.entered.UID, GID: s.entered.GID}
	f := hostAccount("/etc/passwd", a.UID)
	if len(f) < 7 || !filepath.IsAbs(f[5]) {
		return nil
	}
	a.Name, a.Gecos, a.Home = f[0], f[4], f[5]
	if f := hostAccount("/etc/group", a.GID); f != nil {
		a.Group = f[0]
	}
	return &a
}

// hostAccount gives the fields of the line with that id, nil where there is
// none.
func hostAccount(file string, id int) []string {
	data, _ := os.ReadFile(file)
	for line := range strings.Lines(string(data)) {
		if f := strings.Split(strings.TrimSuffix(line, "\n"), ":"); len(f) > 3 && f[2] == strconv.Itoa(id) {
			return f
		}
	}
	return nil
}

// ownership is whom unpacked files belong to.
func (s standing) ownership() layout.Ownership {
	switch {
	case !s.root:
		return layout.Caller
	case s.confined:
		return layout.Mapped(s.uidMap, s.gidMap)
	}
	return layout.Real
}

// mapped is the namespace as convert takes it, nil where there is none with
// several ids.
func (s standing) mapped() (*convert.Mapped, error) {
	if !s.root || !s.confined {
		return nil, nil
	}
	m := &convert.Mapped{Own: s.entered != nil}
	for _, ids := range []struct {
		file []byte
		to   *[]specs.LinuxIDMapping
	}{{s.uidMap, &m.UIDs}, {s.gidMap, &m.GIDs}} {
		lines, err := runner.ParseIDMap(ids.file)
		if err != nil {
			return nil, err
		}
		*ids.to = specMappings(lines)
	}
	return m, nil
}

// mappedOwner takes an owner whom the namespace lacks, as a root that was there
// before can have one, for root: nothing can be given to the number that the
// kernel shows instead. Where that number is mapped they can't be told apart.
func (s standing) mappedOwner(owner func(fs.FileInfo) (uid, gid int)) (func(fs.FileInfo) (uid, gid int), error) {
	m, err := s.mapped()
	if m == nil || owner == nil {
		return owner, err
	}
	known := func(id int, m []specs.LinuxIDMapping) int {
		if slices.ContainsFunc(m, func(e specs.LinuxIDMapping) bool {
			return id >= int(e.ContainerID) && id-int(e.ContainerID) < int(e.Size)
		}) {
			return id
		}
		return 0
	}
	return func(info fs.FileInfo) (int, int) {
		uid, gid := owner(info)
		return known(uid, m.UIDs), known(gid, m.GIDs)
	}, nil
}

func specMappings(lines []syscall.SysProcIDMap) []specs.LinuxIDMapping {
	out := make([]specs.LinuxIDMapping, len(lines))
	for i, l := range lines {
		out[i] = specs.LinuxIDMapping{ContainerID: uint32(l.ContainerID), HostID: uint32(l.HostID), Size: uint32(l.Size)}
	}
	return out
}
