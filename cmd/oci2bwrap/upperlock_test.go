package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// TestLockUppers: two mounts of one run may not write to one directory, by
// whatever names, and two runs may not either.
func TestLockUppers(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"u1", "u2", "w1", "w2", "new", "kept", "kept/upper"} {
		if err := os.Mkdir(at(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("u1", at("link")); err != nil {
		t.Fatal(err)
	}
	lock := func(overlays ...[2]string) (*session, string) {
		plan := new(bwrap.Plan)
		for _, o := range overlays {
			op := bwrap.Overlay{Dst: "/m", Upper: at(o[0])}
			if o[1] != "" {
				op.Work = at(o[1])
			}
			plan.Steps = append(plan.Steps, bwrap.Step{Op: op, Why: "-v"})
		}
		s := &session{planned: &convert.Planned{Plan: plan}}
		return s, strings.ReplaceAll(fmt.Sprint(s.lockUppers()), dir+"/", "")
	}
	const twice = `-v: "/m": %s is named twice as an upperdir or workdir`
	for _, tt := range []struct {
		overlays [][2]string
		want     string
	}{
		{[][2]string{{"u1", "w1"}, {"u2", "w2"}, {"kept", ""}}, "<nil>"},
		{[][2]string{{"u1", "u1"}}, fmt.Sprintf(twice, "u1")},
		{[][2]string{{"u1", "w1"}, {"link", "w2"}}, fmt.Sprintf(twice, "link")},
		{[][2]string{{"u1", "w1"}, {"u2", "link/../w1"}}, fmt.Sprintf(twice, "w1")},
		{[][2]string{{"kept", ""}, {"kept/upper", "w1"}}, fmt.Sprintf(twice, "kept/upper")},
		{[][2]string{{"new", ""}, {"u1", "w1"}}, "<nil>"}, // nothing is in it yet
		{[][2]string{{"u1", "none"}}, `-v: "/m": open none: no such file or directory`},
	} {
		s, got := lock(tt.overlays...)
		if got != tt.want {
			t.Errorf("%v: %s, want %s", tt.overlays, got, tt.want)
		}
		s.close()
	}
	s, _ := lock([2]string{"kept", ""})
	defer s.close()
	other, got := lock([2]string{"u1", "w1"}, [2]string{"kept/upper", "w2"})
	defer other.close()
	if got != `-v: "/m": kept/upper is in use by another run` {
		t.Error(got)
	}
	_, err := lockDir(at("u1"))
	if hint, ok := errors.AsType[*hinted](err); err == nil || !ok || hint.Hint() == "" {
		t.Errorf("%v", err)
	}
}
