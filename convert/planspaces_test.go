package convert

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	ispec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A sandbox's namespaces that differ from a bundle's are told of; an id map
// that is not the one that is made stops the run.
func TestSpaces(t *testing.T) {
	single := func(container, host uint32) []specs.LinuxIDMapping {
		return []specs.LinuxIDMapping{{ContainerID: container, HostID: host, Size: 1}}
	}
	ranges := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 7, Size: 1}, {ContainerID: 1, HostID: 1000, Size: 10}}
	remapped := []specs.LinuxIDMapping{{HostID: 100000, Size: 65536}}
	several := func(own bool) Host {
		return Host{Confined: true, Mapped: &Mapped{UIDs: ranges, GIDs: ranges, Own: own}}
	}
	joined := func(h Host, paths ...string) Host {
		h.Joined = map[string]bool{}
		for _, p := range paths {
			h.Joined[p] = true
		}
		return h
	}
	pid, user := specs.LinuxNamespace{Type: specs.PIDNamespace}, specs.LinuxNamespace{Type: specs.UserNamespace}
	for _, test := range []struct {
		name       string
		host       Host
		namespaces []specs.LinuxNamespace
		mappings   []specs.LinuxIDMapping
		user       bool
		gaps       []string // Field and Effect of those from here
	}{
		{"root", Host{}, []specs.LinuxNamespace{pid}, nil, false, nil},
		{"joined", Host{}, []specs.LinuxNamespace{pid, {Type: specs.NetworkNamespace, Path: "/n"}}, nil, false, nil},
		{"joined with names", Host{}, []specs.LinuxNamespace{{Type: specs.PIDNamespace, Path: "/p"}, {Type: specs.UTSNamespace, Path: "/u"}}, nil, false,
			[]string{"linux.namespaces[0].path not available"}},
		{"joined with a control group", Host{Cgroup: Cgroup{Parent: "/c"}}, []specs.LinuxNamespace{{Type: specs.PIDNamespace, Path: "/p"}}, nil, false, nil},
		{"root's own", joined(Host{}, "/u"), []specs.LinuxNamespace{pid, {Type: specs.UserNamespace, Path: "/u"}}, nil, false, nil},
		{"joined by a user", Host{UID: 7, GID: 7}, []specs.LinuxNamespace{pid, user, {Type: specs.IPCNamespace, Path: "/i"}}, single(0, 7), true,
			[]string{"linux.namespaces[2].path not available"}},
		{"root without pid", Host{}, nil, nil, false, []string{"linux.namespaces not available"}},
		{"user", Host{UID: 7, GID: 7}, []specs.LinuxNamespace{pid, user}, single(0, 7), true, nil},
		{"user without one", Host{UID: 7, GID: 7}, []specs.LinuxNamespace{pid}, nil, true, nil},
		{"root of a user namespace", Host{Confined: true}, []specs.LinuxNamespace{pid}, nil, true, nil},
		{"another id", Host{UID: 7, GID: 7}, []specs.LinuxNamespace{pid, user}, single(0, 8), true,
			[]string{"linux.uidMappings weakens isolation", "linux.gidMappings weakens isolation"}},
		{"a range", Host{}, []specs.LinuxNamespace{pid, user}, []specs.LinuxIDMapping{{HostID: 1000, Size: 10, ContainerID: 1}, {Size: 1}}, true, nil},
		{"a range without the caller", Host{}, []specs.LinuxNamespace{pid, user}, []specs.LinuxIDMapping{{HostID: 1000, Size: 10}}, true,
			[]string{"linux.uidMappings weakens isolation", "linux.gidMappings weakens isolation"}},
		{"no mapping", Host{}, []specs.LinuxNamespace{pid, user}, nil, true,
			[]string{"linux.uidMappings weakens isolation", "linux.gidMappings weakens isolation"}},
		{"several ids", several(true), []specs.LinuxNamespace{pid, user}, ranges, true, nil},
		{"several ids, none named", several(true), []specs.LinuxNamespace{pid}, nil, true, nil},
		{"ids without the caller's, entered", Host{Confined: true, Mapped: &Mapped{UIDs: remapped, GIDs: remapped, Own: true}}, []specs.LinuxNamespace{pid, user}, remapped, true, nil},
		{"some of several ids", several(true), []specs.LinuxNamespace{pid, user}, single(0, 7), true, nil},
		{"somebody's several ids, outside", several(false), []specs.LinuxNamespace{pid, user}, single(0, 0), true, nil},
		{"other ids than those", several(true), []specs.LinuxNamespace{pid, user}, single(0, 8), true,
			[]string{"linux.uidMappings weakens isolation", "linux.gidMappings weakens isolation"}},
		{"joined user", joined(several(false), "/u", "/t"), []specs.LinuxNamespace{pid, {Type: specs.UserNamespace, Path: "/u"}, {Type: specs.IPCNamespace, Path: "/i"}, {Type: specs.TimeNamespace, Path: "/t"}}, ranges, false, nil},
		{"joined user, none entered", several(true), []specs.LinuxNamespace{pid, {Type: specs.UserNamespace, Path: "/u"}, {Type: specs.NetworkNamespace, Path: "/n"}}, ranges, true,
			[]string{"linux.namespaces[1].path not available", "linux.namespaces[2].path not available"}},
		{"a user's own", Host{UID: 7, GID: 7}, []specs.LinuxNamespace{pid, {Type: specs.UserNamespace, Path: "/u"}}, nil, true,
			[]string{"linux.namespaces[1].path weakens isolation"}},
		{"a user's own, with several ids", several(true), []specs.LinuxNamespace{pid, {Type: specs.UserNamespace, Path: "/u"}}, nil, true,
			[]string{"linux.namespaces[1].path weakens isolation"}},
		{"joined mounts", Host{}, []specs.LinuxNamespace{pid, {Type: specs.MountNamespace, Path: "/m"}}, nil, false,
			[]string{"linux.namespaces[1].path not available"}},
		{"somebody's several ids", several(false), []specs.LinuxNamespace{pid}, nil, false, nil},
	} {
		spec := bundle()
		spec.Linux.Namespaces, spec.Linux.UIDMappings, spec.Linux.GIDMappings = test.namespaces, test.mappings, test.mappings
		p, err := Plan(spec, Rootfs{Dirs: []string{"/r"}, FS: fstest.MapFS{}}, test.host, PlanOptions{})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		var gaps []string
		for _, g := range p.Gaps {
			if g.Field != "process.noNewPrivileges" {
				gaps = append(gaps, g.Field+" "+string(g.Effect))
			}
		}
		if n := p.Plan.Namespaces; n.Mapped != (test.host.Mapped != nil && n.UIDMap == nil) {
			t.Errorf("%s: %+v", test.name, p.Plan.Namespaces)
		}
		if n := p.Plan.Namespaces; n.User != test.user || n.PID != (test.host.Cgroup.Parent == "") || n.PID == (p.Plan.Cgroup != nil) || !slices.Equal(gaps, test.gaps) {
			t.Errorf("%s: %+v, gaps %q, want %q", test.name, n, gaps, test.gaps)
		}
	}
}

// Who is root of a user namespace that maps several ids has a Spec that runc
// runs without root: the ids, group 5, the groups of root.
func TestMappedSpec(t *testing.T) {
	ranges := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 7, Size: 1}, {ContainerID: 1, HostID: 1000, Size: 10}}
	root := Rootfs{FS: fstest.MapFS{"etc/group": {Data: []byte("wheel:x:9:root\n")}, "etc/passwd": {Data: []byte("root:x:0:0::/:/\n")}}}
	img := ispec.Image{Config: ispec.ImageConfig{Cmd: []string{"sh"}}}
	for _, own := range []bool{true, false} {
		res, err := Spec(img, root, Host{Confined: true, Mapped: &Mapped{UIDs: ranges, GIDs: ranges, Own: own}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		l := res.Spec.Linux
		has := slices.ContainsFunc(l.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.UserNamespace })
		if has != own || own && (!slices.Equal(l.UIDMappings, ranges) || !slices.Equal(l.GIDMappings, ranges)) || !own && l.UIDMappings != nil {
			t.Errorf("own %v: %v, %v, %v", own, l.Namespaces, l.UIDMappings, l.GIDMappings)
		}
		if g := res.Spec.Process.User.AdditionalGids; !slices.Equal(g, []uint32{9}) {
			t.Errorf("groups %v", g)
		}
		for _, m := range res.Spec.Mounts {
			if m.Destination == "/dev/pts" && !slices.Contains(m.Options, "gid=5") || m.Destination == "/sys" && m.Type != "bind" {
				t.Errorf("%+v", m)
			}
		}
	}

	spec := bundle()
	spec.Process.User.UID = 11
	_, err := Plan(spec, Rootfs{Dirs: []string{"/r"}, FS: fstest.MapFS{}}, Host{Confined: true, Mapped: &Mapped{UIDs: ranges, GIDs: ranges, Own: true}}, PlanOptions{})
	if err == nil || !strings.Contains(err.Error(), "process.user.uid: 11 is not among the 11 ids") {
		t.Errorf("an id that is not mapped: %v", err)
	}
}

// TestNamespaceFaults refuses what the runtime-spec has a runtime refuse, and
// mappings of nothing.
func TestNamespaceFaults(t *testing.T) {
	one := []specs.LinuxIDMapping{{Size: 1}}
	for want, edit := range map[string]func(l *specs.Linux){
		`linux.namespaces[1].type: linux.namespaces[0] is of type "network" as well`: func(l *specs.Linux) {
			l.Namespaces = []specs.LinuxNamespace{{Type: specs.NetworkNamespace}, {Type: specs.NetworkNamespace, Path: "/n"}}
		},
		`linux.namespaces[0].type: "net" is no namespace (has: pid, network, mount, ipc, uts, user, cgroup, time)`: func(l *specs.Linux) {
			l.Namespaces = []specs.LinuxNamespace{{Type: "net"}}
		},
		`linux.namespaces[0].path: "proc/1/ns/ipc" is not absolute`: func(l *specs.Linux) {
			l.Namespaces = []specs.LinuxNamespace{{Type: specs.IPCNamespace, Path: "proc/1/ns/ipc"}}
		},
		"linux.uidMappings, linux.gidMappings: need a user namespace in linux.namespaces": func(l *specs.Linux) { l.GIDMappings = one },
		"<nil>": func(l *specs.Linux) {
			l.UIDMappings, l.GIDMappings = one, one
			for _, kind := range []specs.LinuxNamespaceType{"pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"} {
				l.Namespaces = append(l.Namespaces, specs.LinuxNamespace{Type: kind})
			}
		},
	} {
		spec := bundle()
		edit(spec.Linux)
		if _, err := planBundle(t, spec, PlanOptions{}); fmt.Sprint(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
