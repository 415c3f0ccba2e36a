package convert

import (
	"testing"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// TestScriptGapsCanBeAllowed: each has a name that --allow-gap takes.
func TestScriptGapsCanBeAllowed(t *testing.T) {
	score := 1
	gaps := ScriptGaps(&bwrap.Plan{
		Process: bwrap.Process{
			Terminal: true, Groups: []int{1}, OOMScoreAdj: &score, StartHooks: []bwrap.Hook{{}}, StopSignal: "SIGINT",
			Rlimits: []bwrap.Rlimit{{Type: "RLIMIT_NOFILE"}}, UID: 1,
		},
		Sysctl:     []bwrap.Sysctl{{}},
		Namespaces: bwrap.Namespaces{Domainname: "x"},
		Steps:      []bwrap.Step{{Op: bwrap.Closure{Dst: StoreDir, Paths: make([]bwrap.StorePath, maxScriptPaths+1)}}},
	})
	if len(gaps) != 10 {
		t.Errorf("%d gaps, want one of each kind: %v", len(gaps), gaps)
	}
	for _, g := range gaps {
		if err := (GapFields{g.Field}).Check(); err != nil || !(GapFields{g.Field}).Has(g) {
			t.Errorf("%s: %v", g.Field, err)
		}
	}
}
