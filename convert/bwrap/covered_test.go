package bwrap

import "testing"

// TestCovered: real root's procfs is the init's where the plan leaves writable
// what bubblewrap makes read-only, and masks come after it.
func TestCovered(t *testing.T) {
	root, proc := Bind{Src: "/r", Dst: "/"}, Proc{"/proc"}
	same := func(name string) Op { return Bind{Src: name, Dst: name, ReadOnly: true} }
	for _, tt := range []struct {
		about string
		ns    Namespaces
		ops   []Op
		init  string
	}{
		{"nothing is masked", Namespaces{}, []Op{root, proc}, "proc:/proc"},
		{"in a user namespace", Namespaces{User: true}, []Op{root, proc}, ""},
		{"in that of the caller", Namespaces{Mapped: true}, []Op{root, proc}, ""},
		{"both are read-only", Namespaces{}, []Op{root, proc, same("/proc/irq"), same("/proc/bus")}, "bind:/proc/irq bind:/proc/bus"},
		{"one is not", Namespaces{}, []Op{root, proc, same("/proc/bus")}, "proc:/proc bind:/proc/bus"},
		{"bubblewrap has a file in it", Namespaces{}, []Op{root, proc, File{Dst: "/proc/x"}}, ""},
		{"bubblewrap covers it", Namespaces{}, []Op{root, proc, Proc{"/p2"}}, ""},
		{"there is none", Namespaces{}, []Op{root}, ""},
	} {
		p := plan(tt.ops...)
		p.Namespaces = tt.ns
		c, err := Lower(p, Target{Features: Features{Stage: true}, StageDir: "/stage"})
		if err != nil {
			t.Fatal(tt.about, err)
		}
		if got := names(c.Late); got != tt.init {
			t.Errorf("%s: %q, want %q", tt.about, got, tt.init)
		}
	}
}
