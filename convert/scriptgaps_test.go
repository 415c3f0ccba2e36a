package convert

import (
	"strings"
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
		Namespaces: bwrap.Namespaces{Domainname: "x", Time: true, Join: []bwrap.Join{{Kind: "pid", Field: "linux.namespaces[0].path"}}},
		Steps:      []bwrap.Step{{Op: bwrap.Closure{Dst: StoreDir, Paths: make([]bwrap.StorePath, maxScriptPaths+1)}}},
	})
	if len(gaps) != 12 {
		t.Errorf("%d gaps, want one of each kind: %v", len(gaps), gaps)
	}
	for _, g := range gaps {
		if err := (GapFields{g.Field}).Check(); err != nil || !(GapFields{g.Field}).Has(g) {
			t.Errorf("%s: %v", g.Field, err)
		}
	}
}

// TestScriptJoins: what a script can't join is new in it.
func TestScriptJoins(t *testing.T) {
	p := &bwrap.Plan{Namespaces: bwrap.Namespaces{IPC: true, Join: []bwrap.Join{{Kind: "network", Path: "/n"}, {Kind: "pid", Path: "/p"}, {Kind: "user"}, {Kind: "time"}}, Mapped: true}}
	for i, want := range []string{"a new one is made", "a new one is made", "a new one is made", "that of the script's caller stays"} {
		if gaps := ScriptGaps(&bwrap.Plan{Namespaces: bwrap.Namespaces{Join: p.Namespaces.Join[i : i+1]}, Process: bwrap.Process{StopSignal: "SIGTERM"}}); len(gaps) != 1 || !strings.Contains(gaps[0].Reason, want) {
			t.Errorf("%s: %v, want %q", p.Namespaces.Join[i].Kind, gaps, want)
		}
	}
	n := ForScript(p).Namespaces
	if !n.Net || !n.PID || !n.IPC || n.UTS || !n.User || !n.Time || n.Mapped || n.Join != nil || p.Namespaces.Net || p.Namespaces.PID {
		t.Errorf("%+v, and the plan %+v", n, p.Namespaces)
	}
}
