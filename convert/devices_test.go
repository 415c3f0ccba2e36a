package convert

import (
	"io/fs"
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// TestDeviceGaps: a device that is there as a node, by a bind or by both has a
// gap once for each rule that can't be held to.
func TestDeviceGaps(t *testing.T) {
	const tun = "/dev/net/tun"
	number := func(n int64) *int64 { return &n }
	rule := func(kind string, minor *int64, access string) specs.LinuxDeviceCgroup {
		return specs.LinuxDeviceCgroup{Allow: true, Type: kind, Major: number(10), Minor: minor, Access: access}
	}
	for name, tt := range map[string]struct {
		node, bind bool
		rule       specs.LinuxDeviceCgroup
		gap        bool
	}{
		"node":           {true, false, rule("c", number(200), "r"), true},
		"bind":           {false, true, rule("c", number(200), "r"), true},
		"both":           {true, true, rule("c", number(200), "r"), true},
		"any minor":      {false, true, rule("c", number(-1), "rm"), true},
		"no minor":       {true, true, rule("a", nil, "w"), true},
		"of another":     {true, true, rule("c", number(229), "r"), false},
		"block":          {true, true, rule("b", number(200), "r"), false},
		"read and write": {true, true, rule("c", number(200), "rw"), false},
		"neither":        {false, false, rule("c", number(200), "r"), false},
	} {
		spec := bundle()
		spec.Linux.Resources = &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{tt.rule}}
		if tt.node {
			spec.Linux.Devices = []specs.LinuxDevice{{Path: tun, Type: "u", Major: 10, Minor: 200}}
		}
		if tt.bind {
			spec.Mounts = append(spec.Mounts, specs.Mount{Type: "bind", Source: tun, Destination: "/tmp/tun"})
		}
		gaps, _ := Gaps(spec)
		p := &planner{spec: spec, host: Host{
			Paths:   map[string]fs.FileMode{tun: fs.ModeDevice | fs.ModeCharDevice},
			Devices: map[string]Node{tun: {"c", 10, 200}},
		}, PlanOptions: PlanOptions{Features: bwrap.Features{Stage: true}}}
		p.boundDevices()
		gaps = slices.DeleteFunc(append(gaps, p.gaps...), func(g Gap) bool { return g.Field != "linux.resources.devices[0].access" })
		want := 0
		if tt.gap {
			want = 1
		}
		if len(gaps) != want {
			t.Errorf("%s: %v", name, gaps)
		}
	}
}
