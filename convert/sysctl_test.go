package convert

import (
	"fmt"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
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
		spec.Linux.UIDMappings = []specs.LinuxIDMapping{{Size: 1}}
		spec.Linux.GIDMappings = spec.Linux.UIDMappings
		for _, kind := range strings.Fields(tt.spaces) {
			spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.LinuxNamespaceType(kind)})
		}
		if got := brief(planBundle(t, spec, PlanOptions{})); got != tt.want {
			t.Errorf("%q %v: %s, want %s", tt.spaces, tt.mounts, got, tt.want)
		}
	}
}
