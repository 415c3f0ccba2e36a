package convert

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Limits are written in cgroup v2's words where there is a group for them, and
// are a gap a field where there is none.
func TestCgroupLimits(t *testing.T) {
	for _, tt := range []struct{ resources, files, controllers, gaps string }{
		{`{}`, "", "[]", ""},
		{`{"memory":{"limit":-1,"swap":0},"cpu":{},"pids":{"limit":0},"unified":{}}`, "", "[]", ""},
		{`{"memory":{"limit":1048576,"swap":3145728,"reservation":4096},"pids":{"limit":50}}`,
			"memory.max=1048576 memory.low=4096 memory.swap.max=2097152 pids.max=50", "[memory pids]",
			"linux.resources.memory weakens isolation; linux.resources.pids weakens isolation"},
		{`{"memory":{"swap":3145728}}`, "", "[]", ""},
		{`{"cpu":{"shares":2,"quota":50000,"period":100000,"burst":10,"idle":1,"cpus":"0-1","mems":"0"}}`,
			"cpu.weight=1 cpu.max=50000 100000 cpu.max.burst=10 cpu.idle=1 cpuset.cpus=0-1 cpuset.mems=0", "[cpu cpuset]",
			"linux.resources.cpu not available"},
		{`{"cpu":{"shares":262144,"period":5000}}`, "cpu.weight=10000 cpu.max=max 5000", "[cpu]", "linux.resources.cpu not available"},
		{`{"blockIO":{"weight":1000,"throttleReadBpsDevice":[{"major":8,"minor":1,"rate":7}]}}`,
			"io.weight=10000 io.max=8:1 rbps=7", "[io]", "linux.resources.blockIO not available"},
		{`{"blockIO":{"weightDevice":[{"major":8,"minor":16,"weight":10},{"major":8,"minor":0,"leafWeight":9}]}}`,
			"io.weight=8:16 1", "[io]", "linux.resources.blockIO.leafWeight not available; linux.resources.blockIO not available"},
		{`{"hugepageLimits":[{"pageSize":"2MB","limit":9223372036854775808},{"pageSize":"1GB","limit":0}]}`,
			"hugetlb.2MB.rsvd.max=9223372036854775808 hugetlb.2MB.max=9223372036854775808 hugetlb.1GB.rsvd.max=0 hugetlb.1GB.max=0", "[hugetlb]",
			"linux.resources.hugepageLimits weakens isolation"},
		{`{"rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":10000},"mlx4_0":{"hcaObjects":0},"none":{}}}`,
			"rdma.max=mlx4_0 hca_object=0 rdma.max=mlx5_1 hca_handle=3 hca_object=10000", "[rdma]", "linux.resources.rdma weakens isolation"},
		{`{"network":{"classID":1}}`, "", "[]", "linux.resources.network not available"},
		{`{"unified":{"hugetlb.2MB.max":"0","cgroup.max.depth":"3"}}`, "cgroup.max.depth=3 hugetlb.2MB.max=0", "[hugetlb]",
			"linux.resources.unified weakens isolation"},
	} {
		spec := bundle()
		spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.PIDNamespace}}
		spec.Linux.Resources = new(specs.LinuxResources)
		if err := json.Unmarshal([]byte(tt.resources), spec.Linux.Resources); err != nil {
			t.Fatal(err)
		}
		_, controllers := Limits(spec)
		if got := fmt.Sprint(controllers); got != tt.controllers {
			t.Errorf("%s: controllers %s, want %s", tt.resources, got, tt.controllers)
		}
		root := Rootfs{Dirs: []string{"/r"}, FS: fstest.MapFS{}}
		with, err := Plan(spec, root, Host{Cgroup: Cgroup{Parent: "/cg"}}, PlanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var files []string
		if c := with.Plan.Cgroup; c != nil {
			for _, f := range c.Files {
				files = append(files, f.Name+"="+f.Value)
			}
		}
		if got := strings.Join(files, " "); got != tt.files {
			t.Errorf("%s: files %q, want %q", tt.resources, got, tt.files)
		}
		without, err := Plan(spec, root, Host{Cgroup: Cgroup{Reason: "why"}}, PlanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var gaps []string
		for _, g := range without.Gaps {
			if strings.HasPrefix(g.Field, "linux.resources") {
				gaps = append(gaps, g.Field+" "+string(g.Effect))
			}
		}
		if got := strings.Join(gaps, "; "); got != tt.gaps || without.Plan.Cgroup != nil {
			t.Errorf("%s: gaps %q, want %q", tt.resources, got, tt.gaps)
		}
	}
}

// A group that has some of the controllers holds what is theirs; the rest is a
// gap with its own reason.
func TestCgroupLacking(t *testing.T) {
	spec := bundle()
	spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.PIDNamespace}}
	spec.Linux.Resources = new(specs.LinuxResources)
	if err := json.Unmarshal([]byte(`{"memory":{"limit":5,"swap":6},"cpu":{"quota":1000,"cpus":"0"},"pids":{"limit":7}}`), spec.Linux.Resources); err != nil {
		t.Fatal(err)
	}
	host := Host{Cgroup: Cgroup{Parent: "/cg", Lacking: map[string]string{"cpuset": "no cpuset", "memory": "no memory"}}}
	planned, err := Plan(spec, Rootfs{Dirs: []string{"/r"}, FS: fstest.MapFS{}}, host, PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var files, gaps []string
	for _, f := range planned.Plan.Cgroup.Files {
		files = append(files, f.Name+"="+f.Value)
	}
	for _, g := range planned.Gaps {
		if strings.HasPrefix(g.Field, "linux.resources") {
			gaps = append(gaps, g.Field+" "+string(g.Effect)+": "+g.Reason)
		}
	}
	if got, want := strings.Join(files, " "), "cpu.max=1000 100000 pids.max=7"; got != want {
		t.Errorf("files %q, want %q", got, want)
	}
	if got, want := strings.Join(gaps, "; "), "linux.resources.memory weakens isolation: no memory; linux.resources.cpu not available: no cpuset"; got != want {
		t.Errorf("gaps %q, want %q", got, want)
	}
}
