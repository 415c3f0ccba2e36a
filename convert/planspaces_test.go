package convert

import (
	"slices"
	"testing"
	"testing/fstest"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A sandbox's namespaces that differ from a bundle's are told of; an id map
// that is not the one that is made stops the run.
func TestSpaces(t *testing.T) {
	single := func(container, host uint32) []specs.LinuxIDMapping {
		return []specs.LinuxIDMapping{{ContainerID: container, HostID: host, Size: 1}}
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
		{"root without pid", Host{}, nil, nil, false, []string{"linux.namespaces not available"}},
		{"user", Host{UID: 7, GID: 7}, []specs.LinuxNamespace{pid, user}, single(0, 7), true, nil},
		{"user without one", Host{UID: 7, GID: 7}, []specs.LinuxNamespace{pid}, nil, true, nil},
		{"root of a user namespace", Host{Confined: true}, []specs.LinuxNamespace{pid}, nil, true, nil},
		{"another id", Host{UID: 7, GID: 7}, []specs.LinuxNamespace{pid, user}, single(0, 8), true,
			[]string{"linux.uidMappings weakens isolation", "linux.gidMappings weakens isolation"}},
		{"a range", Host{}, []specs.LinuxNamespace{pid, user}, []specs.LinuxIDMapping{{HostID: 1000, Size: 10}}, true,
			[]string{"linux.uidMappings weakens isolation", "linux.gidMappings weakens isolation"}},
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
		if n := p.Plan.Namespaces; n.User != test.user || !n.PID || !slices.Equal(gaps, test.gaps) {
			t.Errorf("%s: %+v, gaps %q, want %q", test.name, n, gaps, test.gaps)
		}
	}
}
