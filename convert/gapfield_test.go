package convert

import (
	"strings"
	"testing"
)

func TestGapFields(t *testing.T) {
	for name, hint := range map[string]string{
		"linux.resources.memory": "", "mounts[/data].uidMappings": "", "mounts[].uidMappings": "", "mounts[/a[b].c].options": "", "mounts[/d].options.tmpcopyup": "",
		"linux.namespaces": "", "linux.namespaces[2].path": "", "linux.uidMappings": "", "linux.seccomp.syscalls[3].action": "", "process.noNewPrivileges": "",
		"hooks.prestart":        "",
		"linux.resources.memry": "linux.resources.memory", "resources.memory": "linux.resources.memory", "mount[/x].options": "mounts[].options",
		"linux": "-", "ociVersion": "-", "": "-", "all": "-", "process.apparmor": "process.apparmorProfile",
	} {
		err := GapFields{name}.Check()
		if (err == nil) != (hint == "") {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if h, ok := err.(*hinted); hint != "" && hint != "-" && (!ok || !strings.Contains(h.Hint(), hint)) {
			t.Errorf("%q: %v, want a hint of %s", name, err, hint)
		}
	}
	for _, tt := range []struct {
		allowed, field string
		want           bool
	}{
		{"mounts[/a].options", "mounts[/a].options", true}, {"mounts[/a].options", "mounts[/b].options", false}, {"mounts[].options", "mounts[/b].options", true},
		{"mounts[].options", "mounts[/b].uidMappings", false}, {"linux.namespaces[].path", "linux.namespaces[12].path", true}, {"hooks", "hooks", true},
	} {
		if got := (GapFields{tt.allowed}).Has(Gap{Field: tt.field}); got != tt.want {
			t.Errorf("%s allows %s: %t", tt.allowed, tt.field, got)
		}
	}
}

// TestEveryRefusalHasARemedy: who meets a gap is told what to do about it.
func TestEveryRefusalHasARemedy(t *testing.T) {
	for _, r := range specFields {
		if r.Class == Refused && r.Remedy == "" {
			t.Errorf("%s is refused without a remedy", r.Path)
		}
	}
}
