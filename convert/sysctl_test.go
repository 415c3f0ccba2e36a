package convert

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	ispec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

func TestSysctl(t *testing.T) {
	for _, tt := range []struct {
		name, spaces, want string
	}{
		{"net.ipv4.ip_forward", "network", "net/ipv4/ip_forward"},
		{"net/ipv4/ip_forward", "network", "net/ipv4/ip_forward"},
		{"net.ipv4.ip_forward", "", `linux.sysctl: "net.ipv4.ip_forward": is the host's, since the sandbox has no network namespace of its own`},
		{"kernel.shmmax", "ipc", "kernel/shmmax"},
		{"kernel.sem", "", `linux.sysctl: "kernel.sem": is the host's, since the sandbox has no ipc namespace of its own`},
		{"fs.mqueue.msg_max", "ipc", "fs/mqueue/msg_max"},
		{"kernel.domainname", "uts", "kernel/domainname"},
		{"vm.swappiness", "network ipc uts", `linux.sysctl: "vm.swappiness": is a setting of the whole host, not of a sandbox`},
		{"kernel.core_pattern", "ipc", `linux.sysctl: "kernel.core_pattern": is a setting of the whole host, not of a sandbox`},
		{"net/../vm/swappiness", "network", `linux.sysctl: "net/../vm/swappiness": no name of a setting`},
		{"net.", "network", `linux.sysctl: "net.": no name of a setting`},
		{"", "network", `linux.sysctl: "": no name of a setting`},
	} {
		spec := bundle()
		spec.Linux.Sysctl = map[string]string{tt.name: "1"}
		for _, kind := range strings.Fields(tt.spaces) {
			spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.LinuxNamespaceType(kind)})
		}
		p, err := planBundle(t, spec, PlanOptions{})
		got := fmt.Sprint(err)
		if err == nil {
			got = p.Plan.Sysctl[0].Path
		}
		if got != tt.want {
			t.Errorf("%s with %q: %s, want %s", tt.name, tt.spaces, got, tt.want)
		}
	}
}

func TestDomainname(t *testing.T) {
	spec := bundle()
	spec.Domainname = "example.org"
	if _, err := planBundle(t, spec, PlanOptions{}); fmt.Sprint(err) != `domainname: "example.org" needs a uts namespace` {
		t.Error(err)
	}
	spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.UTSNamespace}}
	p, err := planBundle(t, spec, PlanOptions{})
	if err != nil || p.Plan.Namespaces.Domainname != "example.org" {
		t.Error(p, err)
	}
}

// TestSys holds when a sandbox has a sysfs of its own.
func TestSys(t *testing.T) {
	sys, cgroup := mountOf("sysfs", "/sys", "ro"), mountOf("cgroup", "/sys/fs/cgroup", "ro")
	for _, tt := range []struct {
		spaces string
		mounts []specs.Mount
		want   string
	}{
		{"", []specs.Mount{sys}, "sysfs:/sys"},
		{"user", []specs.Mount{sys}, "bind:/sys"},
		{"user network", []specs.Mount{sys}, "sysfs:/sys"},
		{"", []specs.Mount{sys, cgroup}, "bind:/sys"},
		{"cgroup", []specs.Mount{sys, cgroup}, "sysfs:/sys cgroup:/sys/fs/cgroup"},
		{"user network cgroup", []specs.Mount{sys, cgroup}, "sysfs:/sys cgroup:/sys/fs/cgroup"},
	} {
		spec := bundle(tt.mounts...)
		if strings.HasPrefix(tt.spaces, "user") {
			spec.Linux.UIDMappings = []specs.LinuxIDMapping{{Size: 1}}
			spec.Linux.GIDMappings = spec.Linux.UIDMappings
		}
		for _, kind := range strings.Fields(tt.spaces) {
			spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.LinuxNamespaceType(kind)})
		}
		if got := brief(planBundle(t, spec, PlanOptions{})); got != tt.want {
			t.Errorf("%q %v: %s, want %s", tt.spaces, tt.mounts, got, tt.want)
		}
	}
}

// TestPingGroups: the default of a network of its own is no gap where nothing
// can be set, and gives way to a flag in either spelling.
func TestPingGroups(t *testing.T) {
	for _, tt := range []struct {
		flags []Sysctl
		host  Host
		user  string
		want  map[string]string
	}{
		{nil, Host{}, "7", map[string]string{pingGroups: "0 0"}},
		{[]Sysctl{{"net/ipv4/ping_group_range", "1 2"}}, Host{}, "", map[string]string{"net/ipv4/ping_group_range": "1 2"}},
		{[]Sysctl{{"net.ipv4.ip_forward", "1"}}, Host{}, "", map[string]string{pingGroups: "0 0", "net.ipv4.ip_forward": "1"}},
		{nil, Host{UID: 1000, GID: 1000}, "7:8", nil},
		{nil, Host{UID: 1000, GID: 1000}, "7:0", map[string]string{pingGroups: "0 0"}},
	} {
		img := ispec.Image{Config: ispec.ImageConfig{User: tt.user, Cmd: []string{"x"}}}
		res, err := Spec(img, accountsRoot("", ""), tt.host, Options{Network: NetworkNone, Sysctl: tt.flags})
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Spec.Linux.Sysctl; !maps.Equal(got, tt.want) {
			t.Errorf("%v: %v, want %v", tt, got, tt.want)
		}
		for _, stage := range []bool{true, false} {
			p := &planner{spec: res.Spec, PlanOptions: PlanOptions{Origin: res.Origin}}
			p.Features.Stage = stage
			var plan bwrap.Plan
			p.kernel(&plan)
			asked := len(tt.flags) > 0
			if gap := len(p.gaps) > 0; gap != (asked && !stage) || len(p.errs) > 0 || stage && len(plan.Sysctl) != len(tt.want) {
				t.Errorf("%v with stage %v: %v %v %v", tt, stage, p.gaps, p.errs, plan.Sysctl)
			}
			for _, s := range plan.Sysctl {
				if s.Optional != (s.Value == "0 0") {
					t.Errorf("%+v", s)
				}
			}
		}
	}
}
