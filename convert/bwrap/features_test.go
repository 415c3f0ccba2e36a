package bwrap

import (
	"os"
	"testing"
)

// TestParseHelp reads what two versions of bubblewrap print, with their options
// and layout and other descriptions.
func TestParseHelp(t *testing.T) {
	for _, tt := range []struct {
		file    string
		n       int
		overlay bool
	}{{"testdata/help-0.8", 61, false}, {"testdata/help-0.12", 68, true}} {
		text, err := os.ReadFile(tt.file)
		if err != nil {
			t.Fatal(err)
		}
		f := Features{Options: ParseHelp(string(text))}
		if len(f.Options) != tt.n || f.Has("overlay-src") != tt.overlay || f.Has("tmp-overlay") != tt.overlay {
			t.Errorf("%s: %d options, %v", tt.file, len(f.Options), f.Options)
		}
		for _, o := range []string{"help", "args", "perms", "as-pid-1", "clearenv", "chmod", "userns-block-fd", "ro-bind-data"} {
			if !f.Has(o) {
				t.Errorf("%s: no %s", tt.file, o)
			}
		}
		for _, o := range []string{"", "--args", "usage:", "WORKDIR"} {
			if f.Has(o) {
				t.Errorf("%s: %q", tt.file, o)
			}
		}
	}
	if got := ParseHelp("bwrap: command not found\n"); got != nil {
		t.Errorf("%v", got)
	}
	if got := ParseHelp("  --b X   text\n--a\n--b\n\t--c TEXT"); len(got) != 3 || got[0] != "a" || got[2] != "c" {
		t.Errorf("%q", got)
	}
}

func TestCapMask(t *testing.T) {
	mask, err := CapMask([]string{"CAP_CHOWN", "CAP_CHECKPOINT_RESTORE", "CAP_CHOWN"})
	if err != nil || mask != 1|1<<40 {
		t.Errorf("%x, %v", mask, err)
	}
	if _, err := CapMask([]string{"cap_chown"}); err == nil {
		t.Error("lower case")
	}
}
