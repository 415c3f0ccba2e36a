package convert

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// A time namespace is planned where one can be made, with its clocks in order.
func TestTimePlan(t *testing.T) {
	clock := func(secs int64, nanosecs uint32) specs.LinuxTimeOffset {
		return specs.LinuxTimeOffset{Secs: secs, Nanosecs: nanosecs}
	}
	for _, test := range []struct {
		name      string
		named     bool
		offsets   map[string]specs.LinuxTimeOffset
		stage     bool
		want, err string
		gap       bool
	}{
		{"none", false, nil, true, "false []", "", false},
		{"no offsets", true, nil, true, "true []", "", false},
		{"both", true, map[string]specs.LinuxTimeOffset{"monotonic": clock(-3, 4), "boottime": clock(5, 0)}, true, "true [{boottime 5 0} {monotonic -3 4}]", "", false},
		{"no stage", true, map[string]specs.LinuxTimeOffset{"boottime": clock(5, 0)}, false, "false []", "", true},
		{"no namespace", false, map[string]specs.LinuxTimeOffset{"boottime": clock(5, 0)}, true, "", "need a time namespace", false},
		{"another clock", true, map[string]specs.LinuxTimeOffset{"real": {}}, true, "", `"real" is no clock`, false},
		{"a second", true, map[string]specs.LinuxTimeOffset{"boottime": clock(0, 1e9)}, true, "", "a second or more", false},
	} {
		spec := bundle()
		spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.PIDNamespace}}
		if test.named {
			spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
		}
		spec.Linux.TimeOffsets = test.offsets
		p, err := Plan(spec, Rootfs{Dirs: []string{"/r"}, FS: fstest.MapFS{}}, Host{}, PlanOptions{Features: bwrap.Features{Stage: test.stage}})
		if err != nil || test.err != "" {
			if err == nil || test.err == "" || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: %v, want %q", test.name, err, test.err)
			}
			continue
		}
		gap := false
		for _, g := range p.Gaps {
			gap = gap || g.Field == "linux.namespaces[1].type"
		}
		if got := fmt.Sprint(p.Plan.Namespaces.Time, p.Plan.Namespaces.Clocks); got != test.want || gap != test.gap {
			t.Errorf("%s: %s, gaps %v", test.name, got, p.Gaps)
		}
	}
}
